import { fireEvent, render, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { assigned, difference, sorted } from "../lib/studies";
import { baseOf, EMPTY_STUDY, NO_PLACE, parted, study as asked } from "../lib/varying";
import { Absolute } from "../testing/absolute";
import { job } from "../testing/samples";
import { axesOf, brushed } from "../charts/parallel";
import type { StudyRow, StudyTable } from "../api/types";
import { NewStudy } from "./NewStudy";
import { Studies } from "./Studies";
import { Study } from "./Study";

const RATE = "/config/learning_rate";
const STUDY = {
  id: "stu_1", name: "which rate", labels: {}, status: "succeeded", phase: "searching", task: "classify_images", base: {}, space: { [RATE]: { low: 0.1, high: 1 } }, seeds: [0, 1],
  strategy: { name: "tpe", parameters: {} }, search_seed: 0, objectives: [{ name: "accuracy", direction: "maximize", limit: null }], budget: { trials: 8, minutes: null, parallel: 2 }, confirm: 3,
  points: null, exhausted: false, counts: { active: 0, succeeded: 6, pruned: 0, failed: 2, cancelled: 0, configurations: 4 }, used_minutes: 3, result: { reading: "Configuration 2 is better.", winner: 2 },
  error: null, created_at: "2026-01-31T12:00:00Z", finished_at: "2026-01-31T13:00:00Z", links: { self: "/studies/stu_1", extend: "/studies/stu_1/extend" },
};
const spread = (mean: number) => ({ mean, sd: 0.01, n: 2 });
const row = (configuration: number, accuracy: number | null, low = 0): StudyRow =>
  ({
    configuration,
    assignment: configuration ? { [RATE]: configuration / 10 } : {},
    runs: { trials: 2, succeeded: accuracy === null ? 0 : 2, failed: accuracy === null ? 2 : 0, diverged: accuracy === null ? 1 : 0, at_chance: accuracy === null ? 1 : 0 },
    values: accuracy === null ? {} : { accuracy: spread(accuracy), bytes: { mean: 100 - configuration, sd: 0, n: 2 } },
    difference: configuration && accuracy !== null ? { mean: accuracy - 0.5, low, high: 1, n: 2, verdict: low > 0 ? "better" : "within noise" } : null,
    test: {},
  }) as unknown as StudyRow;
const ROWS = [row(2, 0.9, 0.1), row(1, 0.6, -0.1), row(0, 0.5), row(3, null)];
const ANSWERS: Record<string, unknown> = {
  "/studies?limit=100": { items: [STUDY], next_cursor: null },
  "/studies/stu_1": STUDY,
  "/studies/stu_1/table": { objectives: STUDY.objectives, comparisons: 2, result: null, rows: ROWS },
  "/studies/stu_1/pareto": {
    x: { name: "bytes", direction: "minimize" }, y: { name: "accuracy", direction: "maximize" },
    points: [{ configuration: 2, x: 98, y: 0.9, best: true, job: "job_2" }, { configuration: 0, x: 100, y: 0.5, best: false, job: "job_0" }],
  },
  "/studies/stu_1/figure": {
    x: { name: RATE, kind: "place", label: "learning_rate", logarithmic: false }, y: { name: "accuracy", kind: "figure", label: "accuracy", logarithmic: false }, series: null, lines: [], left_out: [],
    reading: ["No configuration has both figures yet."], choices: { x: [], y: [], series: [] },
  },
  "/studies/stu_1/importance": { objective: "accuracy", configurations: 5, shares: { [RATE]: 0.7, "/config/layers": 0.3 }, left_out: [] },
  "/jobs/job_01": job({ name: "ours" }),
  "/catalogue": { strategies: [{ name: "random", summary: "", parameters: {} }, { name: "asha", summary: "", parameters: {} }] },
};
let sent: { path: string; body: Record<string, unknown> }[] = [];
let posted: { status: number; body: unknown } = { status: 202, body: STUDY };

beforeEach(() => {
  sent = [];
  vi.stubGlobal("Request", Absolute);
  vi.stubGlobal("fetch", async (request: Request) => {
    const { pathname, search } = new URL(request.url);
    const json = { "Content-Type": "application/json" };
    if (request.method === "POST") {
      sent.push({ path: pathname + search, body: (await request.json()) as Record<string, unknown> });
      return new Response(JSON.stringify(posted.body), { status: posted.status, headers: json });
    }
    const found = ANSWERS[pathname + search];
    return new Response(JSON.stringify(found ?? { status: 404 }), { status: found ? 200 : 404, headers: json });
  });
});
afterEach(() => {
  vi.unstubAllGlobals();
  window.history.pushState(null, "", "/ui/");
});

test("studies are listed with how far they have come", async () => {
  render(<Studies />);
  expect((await screen.findByRole("link", { name: "which rate" })).getAttribute("href")).toBe("/ui/studies/stu_1");
  expect(screen.getByText("8 of 8 trials")).toBeTruthy();
});

test("a study shows its table, which any column sorts", async () => {
  render(<Study id="stu_1" />);
  const table = within(await screen.findByRole("group", { name: "Table of configurations" }));
  const first = (): string => table.getAllByRole("row")[1]?.textContent ?? "";
  expect(first()).toContain("learning_rate 0.2");
  expect(first()).toContain("(+0.1 to +1): better");
  expect(table.getAllByRole("row").at(-1)?.textContent).toContain("1 diverged, 1 at chance");
  const user = userEvent.setup();
  await user.click(table.getByRole("button", { name: /^bytes/ }));
  await user.click(table.getByRole("button", { name: /^bytes/ }));
  expect(first()).toContain("learning_rate 0.2");
  await user.click(table.getByRole("button", { name: /^bytes/ }));
  expect(first()).toContain("Base job");
  expect(screen.getByText("Configuration 2 is better.")).toBeTruthy();
  expect(within(screen.getByRole("region", { name: "Figures" })).getByText("No configuration has both figures yet.")).toBeTruthy();
});

test("a click on the front leads to the job", async () => {
  render(<Study id="stu_1" />);
  const plot = await screen.findByRole("img", { name: "2 configurations, 1 of them on the front" });
  await userEvent.setup().click(plot.querySelector("[data-configuration=\"2\"]") as Element);
  expect(window.location.pathname).toBe("/ui/jobs/job_2");
  expect(screen.getByRole("progressbar", { name: "learning_rate: 70 %" })).toBeTruthy();
});

test("parallel coordinates lead to the job, and what is brushed filters the table", async () => {
  render(<Study id="stu_1" />);
  const plot = await screen.findByRole("application", { name: /4 of 4 configurations on 3 axes/ });
  const table = within(screen.getByRole("group", { name: "Table of configurations" }));
  const user = userEvent.setup();
  await user.click(screen.getByText("Filter by an axis"));
  expect(screen.getByRole("slider", { name: "accuracy to" }).getAttribute("aria-valuetext")).toBe("0.9");
  fireEvent.change(screen.getByRole("slider", { name: "accuracy from" }), { target: { value: "0.5" } });
  await screen.findByRole("application", { name: /1 of 4 configurations/ });
  expect(table.getAllByRole("row")).toHaveLength(2);
  expect(table.getAllByRole("row")[1]?.textContent).toContain("learning_rate 0.2");
  await user.click(screen.getByRole("button", { name: "Show all" }));
  expect(table.getAllByRole("row")).toHaveLength(5);
  plot.focus();
  await user.keyboard("{ArrowDown}");
  expect(screen.getByText(/^Configuration 2: learning_rate 0.2, accuracy 0.9/)).toBeTruthy();
  await user.keyboard("{Enter}");
  expect(window.location.pathname).toBe("/ui/jobs/job_2");
});

test("a line breaks where a configuration has no value, and axes are even by ratio where the space is", () => {
  const table = ANSWERS["/studies/stu_1/table"] as StudyTable;
  const [rate, accuracy] = axesOf(table, { [RATE]: { low: 0.1, high: 1, log: true } });
  expect(rate?.at(row(2, 0.9))).toBeCloseTo(Math.log(2) / Math.log(3));
  expect(rate?.at(row(0, 0.5))).toBeUndefined();
  expect(accuracy?.at(row(3, null))).toBeUndefined();
  const rows = table.rows.map((each) => ({ ...each, assignment: { "/config/recipe": each.configuration > 1 ? "logit" : "mse" } })) as unknown as StudyRow[];
  const [recipe] = axesOf({ ...table, rows }, { "/config/recipe": {} });
  expect(recipe?.ticks.map(({ label }) => label)).toEqual(["logit", "mse"]);
  expect([recipe?.told(0), recipe?.told(1)]).toEqual(["logit", "mse"]);
  expect(brushed({ a: [0.2, 0.4] }, "a", 0, 1)).toEqual({});
  expect(brushed({}, "a", 0.7, 0.2)).toEqual({ a: [0.2, 0.7] });
});

test("a study of a job is checked, and begun as it was written", async () => {
  window.history.pushState(null, "", "/ui/studies/new?job=job_01");
  render(<NewStudy />);
  const user = userEvent.setup();
  await user.selectOptions(await screen.findByLabelText("Strategy"), "asha");
  posted = { status: 200, body: { valid: true, points: null, checked: 4, trials: 96, hours: 2, base: {} } };
  await user.click(screen.getByRole("button", { name: "Check" }));
  expect((await screen.findByRole("status")).textContent).toContain("2 h 00 min of device time");
  posted = { status: 202, body: STUDY };
  await user.click(screen.getByRole("button", { name: "Begin" }));
  await vi.waitFor(() => expect(window.location.pathname).toBe("/ui/studies/stu_1"));
  expect(sent.map(({ path }) => path)).toEqual(["/studies?dry_run=true", "/studies"]);
  expect(sent[1]?.body).toMatchObject({ strategy: "asha", seeds: 3, space: { [RATE]: { low: 0.0001, high: 0.01, log: true } }, budget: { trials: 30, parallel: 2 } });
  expect(sent[1]?.body.base).toMatchObject({ teacher: "tch_01", dataset: "dst_01" });
});

test("a study by a budget has no student of the job's, and its check lists what would be trained", async () => {
  ANSWERS["/openapi.json"] = {
    components: { schemas: { DistillConfig: { properties: {} }, StudentBudget: { properties: { bytes: { anyOf: [{ type: "integer" }, { type: "null" }] } } }, Pruning: { properties: { ratio: { type: "number" } } } } },
  };
  window.history.pushState(null, "", "/ui/studies/new?job=job_01");
  render(<NewStudy />);
  const user = userEvent.setup();
  await user.click(await screen.findByRole("radio", { name: /By budget/ }));
  expect(screen.queryByRole("radio", { name: /pruned/ })).toBeNull();
  expect(screen.getByLabelText<HTMLSelectElement>("Strategy").value).toBe("asha");
  await user.click(screen.getByRole("button", { name: "Remove" })); // the candidates alone are varied
  await user.type(screen.getByLabelText("bytes"), "60000");
  const table = [{ architecture: { name: "retort:resnet8", options: { width: 6 } }, parameters: 9000, flops: 4e6, bytes: 51000, within: "half" }];
  posted = { status: 200, body: { valid: true, points: 1, checked: 1, trials: 9, hours: null, base: {}, student_budget: { reason: "the largest", table } } };
  await user.click(screen.getByRole("button", { name: "Check" }));
  expect((await screen.findByRole("group", { name: "Candidates of the budget" })).textContent).toContain("half of it");
  expect(sent[0]?.body).toMatchObject({ strategy: "asha", seeds: 1, space: {}, base: { student: { budget: { bytes: 60000 } }, dataset: "dst_01" } });
  delete ANSWERS["/openapi.json"];
});

test("a job that chose its recipe is varied with the recipe that it chose", () => {
  const config = { recipe: "auto", auto_minutes: 5, auto_steps: "auto", auto_recipes: null, epochs: 3 };
  expect(JSON.parse(JSON.stringify(baseOf(job({ config: config as never, choice: { recipe: "logit" } })).config))).toEqual({ recipe: "logit", epochs: 3 });
  expect(baseOf(job({ config: config as never, choice: null })).config).toEqual(config);
});

test("what is refused is shown where it is", async () => {
  window.history.pushState(null, "", "/ui/studies/new?job=job_01");
  posted = { status: 422, body: { status: 422, code: "invalid_config", detail: "No.", errors: [{ pointer: "/space/~1config~1learning_rate/high", message: "not above" }] } };
  render(<NewStudy />);
  await userEvent.setup().click(await screen.findByRole("button", { name: "Begin" }));
  expect(await screen.findByText("/space/~1config~1learning_rate/high")).toBeTruthy();
});

test("choices are parted outside of brackets and quotes, and read as JSON where they are", () => {
  expect(parted('feature_only, {"a": [1, 2]}, "x, y", 3')).toEqual(["feature_only", '{"a": [1, 2]}', '"x, y"', "3"]);
  const draft = { ...EMPTY_STUDY, places: [{ ...NO_PLACE, pointer: "/config/layers", choices: "2, 4" }, NO_PLACE] };
  expect(asked(job(), draft).space).toEqual({ "/config/layers": { choices: [2, 4] } });
  expect(baseOf(job({ config: { seed: 3, epochs: 2 } as never })).config).toEqual({ epochs: 2 });
});

test("rows without a value come last whichever way they are sorted", () => {
  for (const down of [true, false]) expect(sorted(ROWS, { by: "accuracy", down }).at(-1)?.configuration).toBe(3);
  expect(sorted(ROWS, { by: "configuration", down: false }).map((each) => each.configuration)).toEqual([0, 1, 2, 3]);
  expect(assigned({ [RATE]: 0.1, "/student": { name: "a" } })).toBe('learning_rate 0.1, student {"name":"a"}');
  expect(assigned({ "/student": { name: "a", options: { width: 4 } }, "/teacher": ["b"] })).toBe('student a (width 4), teacher ["b"]');
  expect(difference(ROWS[1]?.difference ?? null)).toBe("+0.1 (-0.1 to +1): within noise");
});
