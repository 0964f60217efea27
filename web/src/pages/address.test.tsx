import { act, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { App } from "../App";
import { BASE, navigate } from "../router";
import { Absolute } from "../testing/absolute";
import { job } from "../testing/samples";

/** The address says what is shown: for reloads, for back and forward, and where it is broken. */

const page = (items: object[]) => ({ items, next_cursor: null });
const CATALOGUE = { recipes: [], losses: [], selections: [], optimizers: [], presets: [], datasets: [{ name: "digits" }], architectures: 1400 };
const OPENAPI = { components: { schemas: { DistillConfig: { properties: { epochs: { type: "integer", default: 30 } } } } } };
const JOBS = [job({ id: "job_01", name: "cats" }), job({ id: "job_02", name: "dogs" })];
const ANSWERS: Record<string, object> = { "/jobs": page(JOBS), "/jobs/job_01": JOBS[0]!, "/catalogue": CATALOGUE, "/openapi.json": OPENAPI, "/system": { dataset_references: [] } };
let gone = false;

beforeEach(() => {
  gone = false;
  vi.stubGlobal("Request", Absolute);
  vi.stubGlobal("fetch", async (request: Request) => {
    const { pathname } = new URL(request.url);
    const lost = gone && pathname.startsWith("/jobs/job_01");
    const problem = { code: "not_found", detail: "There is no job 'job_01'.", status: 404, retryable: false };
    return new Response(JSON.stringify(lost ? problem : (ANSWERS[pathname] ?? page([]))), { status: lost ? 404 : 200, headers: { "Content-Type": "application/json" } });
  });
});
afterEach(() => {
  vi.unstubAllGlobals();
  window.history.replaceState(null, "", `${BASE}/`);
});

function open(path: string) {
  window.history.replaceState(null, "", BASE + path);
  render(<App />);
  return userEvent.setup();
}

test("an address that cannot be decoded is a page that is not there", () => {
  open("/jobs/%E0%A4%A");
  expect(screen.getByRole("heading", { name: "There is no such page" })).toBeTruthy();
});

test("the search of the list is in its address, beside the filter", async () => {
  const user = open("/?show=active");
  await screen.findByRole("link", { name: "cats" });
  await user.type(screen.getByLabelText("Search jobs"), "dog");
  expect(window.location.search).toBe("?show=active&q=dog");
  expect(screen.queryByRole("link", { name: "cats" })).toBeNull();
  act(() => navigate("/"));
  expect(await screen.findByRole("link", { name: "cats" })).toBeTruthy();
});

test("a new job after a clone starts empty", async () => {
  open("/new?from=job_01");
  expect(await screen.findByDisplayValue("cats (copy)")).toBeTruthy();
  act(() => navigate("/new"));
  expect(await screen.findByRole("button", { name: "Submit job" })).toBeTruthy();
  expect(screen.queryByDisplayValue("cats (copy)")).toBeNull();
});

test("a job that was deleted elsewhere is said to be gone, not to be running", async () => {
  vi.useFakeTimers({ shouldAdvanceTime: true });
  open("/jobs/job_01");
  expect(await screen.findByText("running")).toBeTruthy();
  gone = true;
  await act(() => vi.advanceTimersByTimeAsync(9000));
  expect(screen.queryByText("running")).toBeNull();
  expect(screen.getByRole("alert").textContent).toContain("There is no job 'job_01'.");
  vi.useRealTimers();
});
