import { render, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { Absolute } from "../testing/absolute";
import { event, job, layer, RESULT } from "../testing/samples";
import { Compare } from "./Compare";
import { Job } from "./Job";
import { NewJob } from "./NewJob";

/** What is removed with time, or was never there to begin with: pages say so, and show the rest. */

const page = (items: object[]) => ({ items, next_cursor: null });
const recipe = { name: "feature_only", summary: "", needs_teacher: true, needs_layers: true, parameters: {} };
const SELECTION = { rule: "auto", chosen: [1], teacher_layers: ["block.1"], student_layers: ["layer1"], reason: "The peak." };
const LAYERS = [layer(0, 2, 0.5), layer(1, 2, 0.75)];
const CURVE = { job_id: "job_01", complete: true, total_layers: 2, samples: 100, classes: 10, train_size: 100, seed: 0, digest: "d", reused: false, chosen: [1], rule: "auto", reading: "It peaks late.", layers: LAYERS };
const EMPTY_CURVE = { ...CURVE, complete: false, total_layers: null, chosen: [], rule: "", reading: null, layers: [] };
const CATALOGUE = { recipes: [recipe], losses: [], selections: [{ name: "auto", summary: "", parameters: {} }], optimizers: [], presets: [], datasets: [{ name: "digits" }], architectures: 1400 };
const OPENAPI = { components: { schemas: { DistillConfig: { properties: { epochs: { type: "integer", default: 30 } } } } } };

let answers: Record<string, object | number | string> = {};
const asked: string[] = [];

function answer(found: object | number | string | undefined): Response {
  if (typeof found === "string") return new Response(found, { headers: { "Content-Type": "text/event-stream" } });
  if (typeof found === "object") return new Response(JSON.stringify(found), { headers: { "Content-Type": "application/json" } });
  const status = found ?? 404;
  return new Response(status === 204 ? null : JSON.stringify({ code: "not_found", detail: `answered ${status}`, status, retryable: status >= 500 }), { status });
}

beforeEach(() => {
  asked.length = 0;
  answers = {
    "/catalogue": CATALOGUE,
    "/catalogue/recipes": page([recipe]),
    "/catalogue/architectures": page([]),
    "/teachers": page([]),
    "/datasets": page([]),
    "/jobs": page([]),
    "/openapi.json": OPENAPI,
    "/system": { dataset_references: [] },
  };
  vi.stubGlobal("Request", Absolute);
  vi.stubGlobal("fetch", async (request: Request) => {
    const { pathname } = new URL(request.url);
    asked.push(pathname);
    const streamed = pathname.endsWith("/events") && request.headers.has("Last-Event-ID"); // all of it was read before
    return answer(streamed ? 204 : answers[pathname]);
  });
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
  window.history.replaceState(null, "", "/ui/");
});

const stream = (...events: ReturnType<typeof event>[]): string => events.map((each) => `id: ${each.seq}\nevent: ${each.kind}\ndata: ${JSON.stringify(each)}\n\n`).join("");

function ended(change: Parameters<typeof job>[0], events: string, curve: object | number): void {
  const found = job({ finished_at: "2026-01-31T12:10:00Z", ...change });
  Object.assign(answers, {
    "/jobs/job_01": found,
    "/jobs/job_01/events": events,
    "/jobs/job_01/q-curve": curve,
    "/jobs/job_01/logs": page([]),
    "/jobs/job_01/attempts": page([]),
    "/jobs/job_01/artifacts": page([]),
  });
}

test("a job whose events are gone shows the curve that is kept, and says what is not", async () => {
  ended({ status: "succeeded", phase: null, selection: SELECTION, result: RESULT, progress: { step: 90, total_steps: 90 } }, stream(event(40, "status", { status: "succeeded" })), CURVE);
  render(<Job id="job_01" />);
  expect(await screen.findByText(/2 layers, 100 samples of 10 classes; 1 chosen by auto/)).toBeTruthy();
  expect(await screen.findByText("It peaks late.")).toBeTruthy();
  expect(screen.getByText("The peak.")).toBeTruthy();
  expect(screen.queryByText(/ended before a layer/)).toBeNull();
  expect(await screen.findByText(/The figures of the single steps are no longer kept/)).toBeTruthy();
  expect(await screen.findByText(/The log is no longer kept/)).toBeTruthy();
  expect(screen.queryByText("The trainer wrote nothing.")).toBeNull();
});

test("where it ended is known without its events", async () => {
  ended({ status: "failed", phase: "distilling", error: { code: "diverged", message: "" } }, stream(event(40, "status", { status: "failed" })), CURVE);
  render(<Job id="job_01" />);
  const phases = within(await screen.findByRole("list", { name: "Phases" }));
  expect(phases.getByText("scoring").closest("li")?.textContent).toContain("done");
  expect(phases.getByText("distilling").closest("li")?.textContent).toContain("ended here");
  expect(phases.getByText("evaluating").closest("li")?.textContent).toContain("not reached");
});

test("a job of a dataset without classes still has no curve", async () => {
  ended({ status: "succeeded", phase: null, selection: SELECTION }, stream(event(40, "status", { status: "succeeded" })), EMPTY_CURVE);
  render(<Job id="job_01" />);
  expect(await screen.findByText(/the dataset has no classes to compare/)).toBeTruthy();
  expect(screen.getByText("The peak.")).toBeTruthy();
});

test("a job that ended before its first layer says so, and of a log that was never written nothing else", async () => {
  ended({ status: "cancelled", phase: null }, stream(event(1, "status", { status: "queued" }, 0), event(2, "status", { status: "cancelled" }, 0)), EMPTY_CURVE);
  render(<Job id="job_01" />);
  expect(await screen.findByText("The job ended before a layer was scored.")).toBeTruthy();
  expect(await screen.findByText("The trainer wrote nothing.")).toBeTruthy();
  expect(screen.queryByText(/no longer kept/)).toBeNull();
});

test("a kept curve that cannot be had just now is asked for again", async () => {
  ended({ status: "succeeded", phase: null, selection: SELECTION }, stream(event(40, "status", { status: "succeeded" })), 500);
  render(<Job id="job_01" />);
  const problem = await screen.findByText("answered 500");
  expect(screen.queryByText(/ended before a layer/)).toBeNull();
  answers["/jobs/job_01/q-curve"] = CURVE;
  await userEvent.click(within(problem.closest("[role=alert]") as HTMLElement).getByRole("button", { name: "Try again" }));
  expect(await screen.findByText("It peaks late.")).toBeTruthy();
});

test("a comparison goes on without a deleted job, and offers to leave it out", async () => {
  window.history.replaceState(null, "", "/ui/compare?jobs=job_01,job_gone,job_02");
  for (const [id, name] of [["job_01", "the first"], ["job_02", "the second"]] as const)
    Object.assign(answers, { [`/jobs/${id}`]: job({ id, name, status: "succeeded", result: RESULT }), [`/jobs/${id}/q-curve`]: { ...CURVE, job_id: id } });
  render(<Compare />);
  expect(await screen.findByText(/This job is no longer there: job_gone\./)).toBeTruthy();
  expect(screen.getAllByRole("columnheader").map(({ textContent }) => textContent)).toEqual(["the first", "the second"]);
  expect(screen.getByRole("button", { name: "Leave out job_gone" })).toBeTruthy();
  await userEvent.click(screen.getByRole("button", { name: "Leave it out" }));
  await waitFor(() => expect(screen.queryByText(/no longer there/)).toBeNull());
  expect(new URLSearchParams(window.location.search).get("jobs")).toBe("job_01,job_02");
  expect(await screen.findByRole("button", { name: "Leave out the second" })).toBeTruthy();
});

test("a comparison of jobs that cannot be had still lets one take them out", async () => {
  window.history.replaceState(null, "", "/ui/compare?jobs=job_01,job_02");
  Object.assign(answers, { "/jobs/job_01": 500, "/jobs/job_02": 500 });
  render(<Compare />);
  expect(await screen.findByText("answered 500")).toBeTruthy();
  await userEvent.click(screen.getByRole("button", { name: "Leave out job_02" }));
  expect(new URLSearchParams(window.location.search).get("jobs")).toBe("job_01");
});

test.each([500, { components: {} }])("a form whose settings cannot be had says so, and asks again (%j)", async (broken) => {
  answers["/openapi.json"] = broken;
  render(<NewJob />);
  const problem = await screen.findByRole("alert");
  await waitFor(() => expect(screen.queryByText(/^Loading/)).toBeNull());
  answers["/openapi.json"] = OPENAPI;
  await userEvent.click(within(problem).getByRole("button", { name: "Try again" }));
  expect(await screen.findByLabelText("epochs")).toBeTruthy();
  expect(screen.queryByRole("alert")).toBeNull();
});

test("a job that is cloned and deleted: said, and the form is there", async () => {
  window.history.replaceState(null, "", "/ui/new?from=job_gone");
  render(<NewJob />);
  expect(await screen.findByText("Nothing is cloned: the form is empty.")).toBeTruthy();
  expect(await screen.findByLabelText("epochs")).toBeTruthy();
});

test("what is chosen but not listed is shown as chosen", async () => {
  window.history.replaceState(null, "", "/ui/new?teacher=tch_gone&dataset=dst_gone");
  render(<NewJob />);
  for (const [label, id] of [["Teacher", "tch_gone"], ["Dataset", "dst_gone"]] as const) {
    const list = (await screen.findByRole("combobox", { name: label })) as HTMLSelectElement;
    expect(list.selectedOptions[0]?.textContent).toBe(`${id} (not among those listed)`);
  }
});

test("what is loaded once is asked for again while the service does not answer, and not when it refuses", async () => {
  vi.useFakeTimers({ shouldAdvanceTime: true });
  answers["/openapi.json"] = 503;
  answers["/teachers"] = 403;
  render(<NewJob />);
  await screen.findByText("answered 503");
  await screen.findByText("answered 403");
  answers["/openapi.json"] = OPENAPI;
  await vi.advanceTimersByTimeAsync(5100);
  await waitFor(() => expect(screen.queryByText("answered 503")).toBeNull());
  expect(screen.getByText("answered 403")).toBeTruthy();
  expect(asked.filter((path) => path === "/teachers")).toHaveLength(1);
});
