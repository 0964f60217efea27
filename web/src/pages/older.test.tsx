import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { FailureCard } from "../components/FailureCard";
import { Absolute } from "../testing/absolute";
import { job } from "../testing/samples";
import { Teacher } from "./Teacher";

/** Long lists are not loaded in whole, and what is left out is said. */

const page = (items: object[], next_cursor: string | null = null) => ({ items, next_cursor });
let answers: Record<string, object> = {};
const asked: string[] = [];

beforeEach(() => {
  asked.length = 0;
  vi.stubGlobal("Request", Absolute);
  vi.stubGlobal("fetch", async (request: Request) => {
    const { pathname, search } = new URL(request.url);
    asked.push(pathname + search);
    const found = answers[pathname + search];
    return new Response(JSON.stringify(found ?? { status: 503, retryable: false }), { status: found ? 200 : 503, headers: { "Content-Type": "application/json" } });
  });
});
afterEach(() => vi.unstubAllGlobals());

test("a failed job's last lines are all that is asked for of its log", async () => {
  const line = (at: number) => ({ seq: at, created_at: "2026-01-31T12:00:00Z", level: "info", message: `line ${at}.`, attempt: 1 });
  answers = { "/jobs/job_01/logs?tail=50": { items: Array.from({ length: 50 }, (_, at) => line(at + 950)), next_cursor: null } };
  render(<FailureCard job={job({ status: "failed", error: { code: "diverged", message: "", fault: "user" } })} />);
  expect(await screen.findByText("line 994.")).toBeTruthy();
  expect(screen.queryByText("line 993.")).toBeNull();
  await userEvent.setup().click(screen.getByRole("button", { name: "More" }));
  expect(screen.getByText("line 950.")).toBeTruthy();
  expect(asked).toEqual(["/jobs/job_01/logs?tail=50"]);
});

test("a teacher's jobs are looked for among the newest, and further back when asked", async () => {
  const made = { status: "ready", labels: {}, created_at: "2026-01-31T12:00:00Z", size_bytes: 1, error: null, report: null, source: null };
  answers = {
    "/teachers/tch_01": { ...made, id: "tch_01", name: "ours", architecture: { name: "timm:resnet34", options: {} }, sha256: "0" },
    "/jobs?limit=200": page([job({ id: "job_9", name: "another's", teacher: "tch_02" })], "c1"),
    "/jobs?limit=200&cursor=c1": page([job({ id: "job_1", name: "long ago" })]),
  };
  render(<Teacher id="tch_01" />);
  expect(await screen.findByText("In none of the newest jobs.")).toBeTruthy();
  expect(screen.getByText("Looked for among the newest 1 jobs.")).toBeTruthy();
  await userEvent.setup().click(screen.getByRole("button", { name: "Load older jobs" }));
  expect(await screen.findByRole("link", { name: "long ago" })).toBeTruthy();
  expect(screen.queryByText("another's")).toBeNull();
  expect(screen.queryByText(/among the newest/)).toBeNull();
});

test("what cannot be loaded is said, and asked for again by the same button", async () => {
  const made = { status: "ready", labels: {}, created_at: "2026-01-31T12:00:00Z", size_bytes: 1, error: null, report: null, source: null };
  answers = {
    "/teachers/tch_01": { ...made, id: "tch_01", name: "ours", architecture: { name: "timm:resnet34", options: {} }, sha256: "0" },
    "/jobs?limit=200": page([job({ id: "job_9" })], "c1"),
  };
  render(<Teacher id="tch_01" />);
  const user = userEvent.setup();
  const button = await screen.findByRole("button", { name: "Load older jobs" });
  await user.click(button);
  expect(await screen.findByRole("alert")).toBeTruthy();
  answers["/jobs?limit=200&cursor=c1"] = page([job({ id: "job_1", name: "long ago" })]);
  await user.click(button);
  expect(await screen.findByRole("link", { name: "long ago" })).toBeTruthy();
});
