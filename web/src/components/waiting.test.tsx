import { render, screen } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import type { Job } from "../api/types";
import { emptyHistory } from "../live/history";
import type { Live } from "../live/useJobHistory";
import { Absolute } from "../testing/absolute";
import { job } from "../testing/samples";
import { JobRow } from "./JobRow";
import { LiveNote } from "./LiveNote";
import { stateOf } from "./Phases";
import { Vitals } from "./Vitals";

/** A job that waits (paused, or queued again) has no worker: nothing on the page may say that it runs. */

const paused = (change: Partial<Job> = {}): Job => job({ status: "paused", phase: null, progress: { step: 19, total_steps: 200 }, ...change });
const live: Live = { history: emptyHistory(), version: 0, mode: "live", problem: null, heardAt: Date.now(), progress: null, speeds: [] };

beforeEach(() => {
  vi.stubGlobal("Request", Absolute);
  vi.stubGlobal("fetch", () => new Promise(() => {}));
});
afterEach(() => vi.unstubAllGlobals());

test("in the list", () => {
  const nothing = () => {};
  render(
    <table>
      <tbody>
        <JobRow job={paused()} curve={undefined} names={new Map()} now={Date.parse("2026-01-31T13:00:00Z")} picked={false} onPick={nothing} onChange={nothing} />
      </tbody>
    </table>,
  );
  expect(screen.getByText("at step 19 of 200")).toBeTruthy();
  expect(screen.queryByText(/starting|^for /)).toBeNull();
});

test.each(["paused", "queued"] as const)("on the page of one that is %s", (status) => {
  render(<Vitals job={paused({ status })} live={live} />);
  expect(screen.queryByText("Running for")).toBeNull();
  expect(screen.getByText("Since its start")).toBeTruthy();
});

test("its worker is not missed", () => {
  render(<LiveNote job={paused()} live={live} problem={null} />);
  expect(screen.queryByText(/worker last heard/)).toBeNull();
});

test("no phase is in progress", () => {
  expect(stateOf(paused(), "distilling", "distilling", false)).toBe("next");
  expect(stateOf(paused(), "evaluating", "distilling", false)).toBe("next");
});

test("one that was cancelled in the queue never started", () => {
  const nothing = () => {};
  render(
    <table>
      <tbody>
        <JobRow job={job({ status: "cancelled", phase: null, started_at: null, finished_at: "2026-01-31T12:10:00Z" })} curve={undefined} names={new Map()} now={0} picked={false} onPick={nothing} onChange={nothing} />
      </tbody>
    </table>,
  );
  expect(screen.getByText("never started")).toBeTruthy();
  expect(screen.queryByText("starting")).toBeNull();
});
