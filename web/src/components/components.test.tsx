import { render, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, test, vi } from "vitest";

import { ProblemError } from "../api/problem";
import { readResult } from "../api/result";
import type { Job, Problem as ProblemData } from "../api/types";
import { emptyHistory } from "../live/history";
import { job, layer, RESULT } from "../testing/samples";
import { show, task } from "../testing/tasks";
import { sentences } from "./CurveCard";
import { FailureCard } from "./FailureCard";
import { FileDrop } from "./FileDrop";
import { RowActions } from "./JobActions";
import { JobRow } from "./JobRow";
import { Phases, stateOf } from "./Phases";
import { Problem } from "./Problem";
import { ResultCard, resultCsv } from "./ResultCard";
import { Warnings } from "./Warnings";
import { SchemaField } from "./SchemaField";
import { explain, Status } from "./Status";
import { Tabs } from "./Tabs";

test("a status is a word beside its colour", () => {
  render(<Status status="cancelling" />);
  expect(screen.getByText("cancelling")).toBeTruthy();
  expect(explain(job({ status: "queued", queue_position: 2 }))).toBe("2 ahead of it in the queue.");
});

test("a problem says what, whose, what to do, and where", () => {
  const problem = { detail: "There is no architecture 'x'.", remedy: "Search the catalogue.", code: "unknown_name", status: 422, fault: "user", errors: [{ pointer: "/student", message: "unknown", in: "body" }] };
  render(<Problem error={new ProblemError(problem as unknown as ProblemData)} />);
  const alert = within(screen.getByRole("alert"));
  for (const text of ["There is no architecture 'x'.", "Search the catalogue.", "/student", "unknown_name"]) expect(alert.getByText(text, { exact: false })).toBeTruthy();
});

test.each([
  ["diverged", "Training diverged: the loss is no number any more, or it exploded."],
  ["at_chance", "The student stayed at chance: it knows no more than guessing does."],
])("a job that failed with %s says what happened, and the service's own remedy", (code, heading) => {
  vi.stubGlobal("fetch", () => new Promise(() => {}));
  render(<FailureCard job={job({ status: "failed", error: { code, message: "m", remedy: "Train longer.", fault: "user", retryable: false, details: {} } })} />);
  expect(screen.getByRole("heading", { level: 2 }).textContent).toBe(heading);
  expect(screen.getByText("Train longer.")).toBeTruthy();
  vi.unstubAllGlobals();
});

test("tabs are one stop for Tab, with arrows between them", async () => {
  const tabs = ["One", "Two", "Three"].map((title) => ({ id: title, title, content: () => <p>content {title}</p> }));
  render(<Tabs label="Parts" tabs={tabs} />);
  const user = userEvent.setup();
  await user.tab();
  await user.keyboard("{ArrowLeft}");
  expect(document.activeElement?.textContent).toBe("Three");
  expect(screen.getByRole("tabpanel").textContent).toBe("content Three");
  await user.keyboard("{Home}");
  expect(screen.getByRole("tab", { selected: true }).textContent).toBe("One");
});

test("phases: what is done, what goes on, where it ended", () => {
  const running = job({ phase: "scoring" });
  expect(["fetching", "scoring", "distilling"].map((phase) => stateOf(running, phase, "scoring", true))).toEqual(["done", "now", "next"]);
  expect(stateOf(job({ status: "failed" }), "scoring", "scoring", false)).toBe("failed");
  expect(stateOf(job({ status: "failed" }), "distilling", "scoring", false)).toBe("skipped");
  const history = emptyHistory();
  history.phases.push({ phase: "scoring", attempt: 1, startedAt: "2026-01-31T12:00:00Z", endedAt: null });
  history.frame = { total_layers: 4 };
  history.layers = [layer(0, 4)];
  render(<Phases job={running} history={history} scores />);
  expect(screen.getByRole("progressbar", { name: "Layers scored" }).getAttribute("aria-valuenow")).toBe("25");
  expect(screen.getByText("scoring").closest("li")?.getAttribute("aria-current")).toBe("step");
});

test("a row tells the job, and its accuracy beside its teacher's", () => {
  const done = job({ status: "succeeded", finished_at: "2026-01-31T12:01:01Z", result: RESULT, labels: { team: "vision" } });
  show(
    <table>
      <tbody>
        <JobRow job={done} curve={undefined} names={new Map([["tch_01", "our teacher"]])} now={Date.parse("2026-01-31T13:00:00Z")} picked={false} onPick={() => {}} onChange={() => {}} />
      </tbody>
    </table>,
  );
  const row = screen.getByRole("row");
  for (const text of ["resnet8 by feature only", "our teacher", "97.00 %", "teacher 98.00 %", "took 1 min 00 s", "vision", "1 h ago"]) expect(row.textContent).toContain(text);
});

test("an ETA is shown once it is stable, not before", () => {
  const row = (eta: number | null) => (
    <table>
      <tbody>
        <JobRow job={job({ progress: { fraction: 0.5, eta_seconds: eta } })} curve={undefined} names={new Map()} now={0} picked={false} onPick={() => {}} onChange={() => {}} />
      </tbody>
    </table>
  );
  const { rerender } = render(row(null));
  expect(screen.queryByText(/left/)).toBeNull();
  rerender(row(90));
  expect(screen.getByText("1 min 30 s left")).toBeTruthy();
});

test("cancelling asks first and says what is kept", async () => {
  render(<RowActions job={job()} onChange={() => {}} />);
  await userEvent.click(screen.getByRole("button", { name: /^Cancel/ }));
  expect(screen.getByText(/no student is kept/)).toBeTruthy();
  expect(screen.queryByRole("button", { name: /^Delete/ })).toBeNull();
});

test("the result card: side by side, with intervals, and as CSV", () => {
  const result = readResult({ result: RESULT });
  if (!result) throw new Error("no result");
  show(<ResultCard job={job({ status: "succeeded" })} result={result} />);
  expect(screen.getAllByRole("columnheader").map((head) => head.textContent)).toEqual(["Teacherresnet14", "Studentresnet8, feature only", "Cross-entropy studentresnet8"]);
  expect(screen.getByText("96.0 to 98.0", { exact: false })).toBeTruthy();
  expect(screen.getByText("21.3 M")).toBeTruthy();
  expect(resultCsv(result, task("classify_images").metrics).split("\r\n")).toHaveLength(5);
});

test("the result card names what the comparison does not have in common", () => {
  const differences = [
    { field: "student", ours: { name: "retort:resnet8", options: { width: 4 } }, theirs: { name: "retort:resnet8", options: { width: 8 } } },
    { field: "train_limit", ours: null, theirs: 100 },
    { field: "fit_head", ours: true, theirs: false },
  ];
  const result = readResult({ result: { ...RESULT, verdict: { beats: null, alike: false, text: "It differs.", differences } } })!;
  show(<ResultCard job={job({ status: "succeeded" })} result={result} />);
  const rows = within(screen.getByRole("table", { name: "How the comparison differs" })).getAllByRole("row");
  expect(rows.slice(1).map((row) => [...row.children].map((cell) => cell.textContent))).toEqual([
    ["student", "retort:resnet8, width 4", "retort:resnet8, width 8"],
    ["train limit", "none", "100"],
    ["fit head", "yes", "no"],
  ]);
  expect(readResult({ result: RESULT })!.differences).toEqual([]);
});

test("what a run warns of is an alert with its remedy, and an older service's job has none", () => {
  const warnings = [{ code: "teacher_near_chance", message: "The teacher is hardly better than guessing.", remedy: "Check its classes.", details: {} }];
  const { rerender } = render(<Warnings job={job({ warnings })} />);
  expect(screen.getByRole("alert").textContent).toBe("The teacher is hardly better than guessing. Check its classes.");
  rerender(<Warnings job={{} as Job} />);
  expect(screen.queryByRole("alert")).toBeNull();
});

test("a setting shows its default, its help and what is wrong with it", async () => {
  const onChange = vi.fn();
  render(<SchemaField name="batch_size" schema={{ type: "integer", default: 128, minimum: 1, description: "Images a step." }} value="" error="Too large." onChange={onChange} />);
  const input = screen.getByLabelText("batch size");
  expect(input.getAttribute("placeholder")).toBe("128");
  expect(document.getElementById(input.getAttribute("aria-describedby") ?? "")?.textContent).toMatch(/Too large\. Images a step\. \(at least 1\)/);
  await userEvent.type(input, "6");
  expect(onChange).toHaveBeenCalledWith("6");
});

test("a file is chosen by the same control that it can be dropped on", async () => {
  const onFile = vi.fn();
  render(<FileDrop label="Drop it" accept=".zip" hint="zip" files={[]} onFiles={onFile} />);
  const file = new File(["x"], "photos.zip");
  await userEvent.upload(screen.getByLabelText(/Drop it/), file);
  expect(onFile).toHaveBeenCalledWith([file]);
});

test("the reading is sentences, in whatever structure they come", () => {
  expect(sentences("One.\n\nTwo.")).toEqual(["One.", "Two."]);
  expect(sentences({ a: ["One.", null], b: "Two." })).toEqual(["One.", "Two."]);
  expect(sentences(null)).toEqual([]);
});
