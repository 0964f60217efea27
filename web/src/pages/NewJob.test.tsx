import { render, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { Toasts } from "../components/Toasts";
import { Absolute } from "../testing/absolute";
import { job } from "../testing/samples";
import { show } from "../testing/tasks";
import { build, fromJob } from "../lib/draft";
import { NewJob } from "./NewJob";

const page = (items: object[], next_cursor: string | null = null) => ({ items, next_cursor });
const recipe = { name: "cross_entropy", summary: "", needs_teacher: false, needs_layers: false, parameters: {} };
const CATALOGUE = { recipes: [recipe], losses: [], selections: [{ name: "auto", summary: "", parameters: {} }], optimizers: [], presets: [], datasets: [{ name: "digits" }], architectures: 1400 };
const OPENAPI = { components: { schemas: { DistillConfig: { properties: { epochs: { type: "integer", default: 30 } } } } } };

let answers: Record<string, object> = {};
/** Of the posts, one after the other; what is not there is a lost answer. */
let outcomes: boolean[] = [];
const keys: (string | null)[] = [];

const json = (found: object | undefined): Response => new Response(JSON.stringify(found ?? {}), { status: found ? 200 : 404, headers: { "Content-Type": "application/json" } });

beforeEach(() => {
  keys.length = 0;
  answers = {
    "/catalogue": CATALOGUE,
    "/catalogue/architectures": page([]),
    "/teachers": page([]),
    "/datasets": page([]),
    "/jobs": page([]),
    "/jobs/job_01": job({ recipe: "cross_entropy", teacher: null, dataset: "dst_01" }),
    "/openapi.json": OPENAPI,
    "/system": { dataset_references: [] },
  };
  vi.stubGlobal("Request", Absolute);
  vi.stubGlobal("fetch", async (request: Request) => {
    const { pathname, searchParams } = new URL(request.url);
    if (request.method !== "POST") return json(answers[`${pathname}?cursor=${searchParams.get("cursor")}`] ?? answers[pathname]);
    keys.push(request.headers.get("Idempotency-Key"));
    if (!outcomes.shift()) throw new TypeError("network");
    return json(searchParams.get("dry_run") === "true" ? { valid: true } : { id: "job_9" });
  });
  window.history.replaceState(null, "", "/ui/new?from=job_01");
});
afterEach(() => {
  vi.unstubAllGlobals();
  window.history.replaceState(null, "", "/ui/");
});

function form() {
  render(
    <Toasts>
      <NewJob />
    </Toasts>,
  );
  return { user: userEvent.setup(), submit: () => screen.findByRole("button", { name: "Submit job" }) };
}

test("sent again after a lost answer it is one job; edited or answered it is another", async () => {
  const { user, submit } = form();
  outcomes = [false, false, false, true, true];
  await user.click(await submit());
  await user.click(await submit());
  await user.type(screen.getByLabelText("Name"), "x");
  await user.click(await submit());
  await user.click(await submit());
  window.history.replaceState(null, "", "/ui/new?from=job_01");
  await user.click(await submit());
  const [first, second, edited, again, anew] = keys;
  expect(keys.every((key) => /^[0-9a-f]{32}$/.test(key ?? ""))).toBe(true);
  expect([second === first, edited === first, again === edited, anew === again]).toEqual([true, false, true, false]);
});

test("older teachers and datasets are loaded when asked for, and can be chosen", async () => {
  const made = { status: "ready", labels: {}, created_at: "2026-01-31T12:00:00Z", size_bytes: 1, error: null, report: null };
  const teacher = (id: string) => ({ ...made, id, name: `teacher ${id}`, architecture: { name: "timm:resnet34", options: {} }, sha256: "0", source: null });
  const dataset = (id: string) => ({ ...made, id, name: `set ${id}`, kind: "table", files: {}, digest: "0", thumbnails: null });
  Object.assign(answers, {
    "/catalogue": { ...CATALOGUE, recipes: [{ ...recipe, name: "feature_only", needs_teacher: true }] },
    "/teachers": page([teacher("tch_3")], "t2"),
    "/teachers?cursor=t2": page([teacher("tch_2")], "t1"),
    "/teachers?cursor=t1": page([teacher("tch_1")]),
    "/datasets": page([dataset("dst_2")], "d1"),
    "/datasets?cursor=d1": page([dataset("dst_1")]),
  });
  window.history.replaceState(null, "", "/ui/new");
  const { user } = form();
  const teachers = () => screen.findByRole("button", { name: "Load older teachers" });
  await user.click(await teachers());
  expect(await screen.findByText("Listed: the newest 2 teachers.")).toBeTruthy();
  await user.click(await teachers());
  const select = screen.getByLabelText("Teacher");
  await user.selectOptions(select, await within(select).findByRole("option", { name: /teacher tch_1/ }));
  await user.click(screen.getByRole("button", { name: "Load older datasets" }));
  await user.selectOptions(screen.getByLabelText("Dataset"), await screen.findByRole("option", { name: /set dst_1/ }));
  expect(screen.getByLabelText("Teacher")).toHaveProperty("value", "tch_1");
  expect(screen.getByLabelText("Dataset")).toHaveProperty("value", "dst_1");
  expect(within(select).getByRole("option", { name: /teacher tch_3/ })).toBeTruthy();
  expect(screen.queryByRole("button", { name: /Load older/ })).toBeNull();
});

test("what the service refuses below a field stands at that field", async () => {
  const refused = [
    { pointer: "/labels/bad key", message: "no such name", in: "body" },
    { pointer: "/student/options/width", message: "too narrow", in: "body" },
  ];
  const { user, submit } = form();
  await submit();
  const asked = globalThis.fetch;
  vi.stubGlobal("fetch", async (request: Request) =>
    request.method === "POST" ? new Response(JSON.stringify({ code: "invalid_request", detail: "Not valid.", status: 422, errors: refused }), { status: 422 }) : asked(request),
  );
  await user.click(screen.getByRole("button", { name: "Check only" }));
  await screen.findByRole("alert");
  const said = [...document.querySelectorAll("#new-job .error, .new-job-grid .grid2 .error")].map((each) => each.textContent?.trim());
  expect(said).toEqual(expect.arrayContaining(["no such name", "too narrow"]));
  expect(said.filter((each) => each === "too narrow")).toHaveLength(1); // not at the architecture too
});

test("a preset shows its values, chooses its recipe, and is sent as one word", async () => {
  const preset = { name: "paper", summary: "", source: "", settings: { recipe: "other", epochs: 240, optimizer: "sgd" } };
  const properties = {
    preset: { anyOf: [{ type: "string" }, { type: "null" }], default: null, "x-registry": "presets" },
    optimizer: { type: "string", default: "adamw", "x-registry": "optimizers" },
    epochs: { type: "integer", default: 30 },
  };
  Object.assign(answers, {
    "/catalogue": { ...CATALOGUE, recipes: [recipe, { ...recipe, name: "other" }], optimizers: [{ name: "adamw" }, { name: "sgd" }], presets: [preset] },
    "/openapi.json": { components: { schemas: { DistillConfig: { properties } } } },
  });
  const { user } = form();
  const choice = await screen.findByLabelText("preset");
  const epochs = () => screen.getByLabelText("epochs").getAttribute("placeholder");
  expect(epochs()).toBe("30");
  await user.selectOptions(choice, "paper");
  expect(epochs()).toBe("240");
  expect(within(screen.getByLabelText("optimizer")).getAllByRole("option").map((each) => each.textContent)).toEqual(["sgd (default)", "adamw"]);
  expect(screen.getByRole<HTMLInputElement>("radio", { name: /other/ }).checked).toBe(true);
  const sent = document.body.textContent ?? "";
  expect(sent).toContain('"preset": "paper"');
  expect(sent).not.toContain("240");
});

test("another teacher is added where the recipe takes several, and taken away again", async () => {
  const made = { status: "ready", labels: {}, created_at: "2026-01-31T12:00:00Z", size_bytes: 1, error: null, report: null };
  const teacher = (id: string) => ({ ...made, id, name: `teacher ${id}`, architecture: { name: "timm:resnet34", options: {} }, sha256: "0", source: null });
  Object.assign(answers, {
    "/catalogue": { ...CATALOGUE, recipes: [{ ...recipe, name: "feature_only", needs_teacher: true, several_teachers: true }] },
    "/teachers": page([teacher("tch_1"), teacher("tch_2")]),
  });
  window.history.replaceState(null, "", "/ui/new?teacher=tch_1");
  const user = userEvent.setup();
  show(
    <Toasts>
      <NewJob />
    </Toasts>,
  );
  await user.selectOptions(await screen.findByLabelText("Another teacher"), "tch_2");
  expect(await screen.findByText("and teacher tch_2")).toBeTruthy();
  expect(screen.queryByLabelText("Another teacher")).toBeNull();
  await user.click(screen.getByRole("button", { name: "Without teacher tch_2" }));
  expect(screen.queryByText("and teacher tch_2")).toBeNull();
});

test("what mends a dataset's skew is asked for beside its warning, as a word or by class", async () => {
  const skewed = { code: "classes_skewed", message: "cat has 900, dog 30.", remedy: "Weigh them.", details: {} };
  const made = { status: "ready", labels: {}, created_at: "2026-01-31T12:00:00Z", size_bytes: 1, error: null, kind: "table", files: {}, digest: "0", thumbnails: null };
  const properties = {
    epochs: { type: "integer", default: 30 },
    class_weights: { anyOf: [{ type: "string", enum: ["none", "balanced"] }, { type: "object" }], default: "none" },
    sampling: { type: "string", enum: ["shuffled", "balanced"], default: "shuffled" },
  };
  Object.assign(answers, {
    "/datasets": page([{ ...made, id: "dst_1", name: "pets", report: { classes: ["cat", "dog"], counts: {}, warnings: [skewed] } }]),
    "/openapi.json": { components: { schemas: { DistillConfig: { properties } } } },
  });
  window.history.replaceState(null, "", "/ui/new?dataset=dst_1");
  const { user } = form();
  const group = await screen.findByRole("group", { name: /inspection warns/ });
  expect(within(group).getByRole("alert").textContent).toContain("cat has 900");
  const weights = within(group).getByLabelText("class weights");
  await user.selectOptions(within(group).getByLabelText("sampling"), "balanced");
  await user.type(weights, "balanced");
  expect(document.body.textContent).toContain('"class_weights": "balanced"');
  await user.clear(weights);
  await user.type(weights, '{{"dog": 4}');
  expect(document.body.textContent).toMatch(/"class_weights":\s*{\s*"dog": 4/);
  expect(document.body.textContent).toContain('"sampling": "balanced"');
});

const STUDENTS = {
  StudentBudget: {
    properties: {
      bytes: { anyOf: [{ type: "integer", minimum: 1 }, { type: "null" }] },
      latency_ms: { anyOf: [{ type: "number" }, { type: "null" }] },
      threads: { type: "integer", default: 1 },
      form: { type: "string", enum: ["fp32", "int8"], default: "fp32" },
    },
  },
  BudgetedStudent: { properties: { budget: {}, families: { anyOf: [{ type: "array", items: { type: "string" } }, { type: "null" }] } } },
  Pruning: {
    properties: {
      ratio: { type: "number", exclusiveMinimum: 0, exclusiveMaximum: 1 },
      importance: { type: "string", enum: ["magnitude", "bn_scale"], default: "magnitude" },
      teacher: { anyOf: [{ type: "string" }, { type: "null" }] },
    },
  },
};
const COUNTED = (width: number, bytes: number, within: string) => ({ family: "resnet", architecture: { name: "retort:resnet8", options: { width } }, parameters: 40 * width, flops: 900 * width, bytes, latency_ms: 0.123, within });
const ESTIMATES = { config: { epochs: 30 }, student: { name: "retort:resnet8", options: { width: 6 } }, warnings: [], input_bytes: 1, estimates: { minutes: null, memory_bytes: null, disk_bytes: null, notes: [] } };

/** Posts are answered by these, one after the other; what was sent comes back. */
function answering(...posts: { status: number; body: object }[]): Record<string, unknown>[] {
  const sent: Record<string, unknown>[] = [];
  const asked = globalThis.fetch;
  vi.stubGlobal("fetch", async (request: Request) => {
    if (request.method !== "POST") return asked(request);
    sent.push((await request.json()) as Record<string, unknown>);
    const { status, body } = posts.shift()!;
    return new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json" } });
  });
  return sent;
}

function describing(config: object = {}): void {
  answers["/openapi.json"] = { components: { schemas: { DistillConfig: { properties: { epochs: { type: "integer", default: 30 }, ...config } }, ...STUDENTS } } };
}

test("a budget is checked: the smallest is told with its refusal and can be taken, then the candidates", async () => {
  describing();
  const smallest = COUNTED(1, 5000, "budget");
  const table = [COUNTED(9, 9000, "double"), COUNTED(6, 5000, "budget")];
  const sent = answering(
    { status: 422, body: { code: "budget_unreachable", detail: "No student.", status: 422, errors: [], details: { smallest } } },
    { status: 200, body: { ...ESTIMATES, valid: true, student_budget: { reason: "the largest within 5,000 bytes", table, measured: { threads: 1, quiet: false } } } },
  );
  const { user, submit } = form();
  await submit();
  await user.click(await screen.findByRole("radio", { name: /By budget/ }));
  expect(screen.queryByLabelText("Architecture")).toBeNull();
  const check = screen.getByRole<HTMLButtonElement>("button", { name: "Check only" });
  await user.type(screen.getByLabelText("threads"), "2");
  expect(check.disabled).toBe(true); // threads are no limit
  await user.type(screen.getByLabelText("bytes"), "3000");
  await user.type(screen.getByLabelText("families"), "retort:resnet, pruned");
  await user.click(check);
  await user.click(await screen.findByRole("button", { name: "Raise the budget to it" }));
  expect(screen.getByLabelText<HTMLInputElement>("bytes").value).toBe("5000");
  await user.click(check);
  const candidates = within(await screen.findByRole("group", { name: "Candidates of the budget" }));
  expect(candidates.getAllByRole("row").map((each) => each.lastElementChild?.textContent)).toEqual(["Within", "double of it", "the budget"]);
  expect(sent.map(({ student }) => student)).toEqual([3000, 5000].map((bytes) => ({ budget: { bytes, threads: 2 }, families: ["retort:resnet", "pruned"] })));
});

test("a pruned teacher is asked for by its ratio; without one to teach, the teacher to prune is named", async () => {
  describing();
  const made = { status: "ready", labels: {}, created_at: "2026-01-31T12:00:00Z", size_bytes: 1, error: null, report: null };
  answers["/teachers"] = page([{ ...made, id: "tch_1", name: "big", architecture: { name: "timm:resnet34", options: {} }, sha256: "0", source: null }]);
  const sent = answering({ status: 200, body: { ...ESTIMATES, valid: true } });
  const { user, submit } = form();
  await submit();
  await user.click(await screen.findByRole("radio", { name: /pruned/ }));
  expect(screen.getByText(/Still to choose: a teacher, the ratio/)).toBeTruthy();
  await user.type(screen.getByLabelText("ratio"), "0.5");
  await user.selectOptions(screen.getByLabelText("importance"), "bn_scale");
  await user.selectOptions(screen.getByLabelText(/Pruned teacher/), "tch_1");
  await user.click(screen.getByRole("button", { name: "Check only" }));
  await screen.findByText("This job would be accepted.");
  expect(sent[0]?.student).toEqual({ prune: { ratio: 0.5, importance: "bn_scale", teacher: "tch_1" } });
});

test("recipe auto has settings of its own, and a check lists what it will compare", async () => {
  describing({ auto_minutes: { type: "number", default: 10 }, auto_recipes: { anyOf: [{ type: "array", items: { type: "string" } }, { type: "null" }], default: null } });
  const recipes = [{ recipe: "cross_entropy", fits: true, reason: null }, { recipe: "logit", fits: false, reason: "It needs a teacher, and none is named." }];
  const sent = answering({ status: 200, body: { ...ESTIMATES, valid: true, recipes } });
  const { user, submit } = form();
  await submit();
  expect(screen.queryByLabelText("auto minutes")).toBeNull();
  await user.click(await screen.findByRole("radio", { name: /^auto/ }));
  await user.type(screen.getByLabelText("auto minutes"), "2");
  await user.click(screen.getByRole("button", { name: "Check only" }));
  expect(await screen.findByText(/It needs a teacher/)).toBeTruthy();
  expect(sent[0]?.config).toEqual({ recipe: "auto", auto_minutes: 2, epochs: 10 });
});

test("a clone asks for its student as the job did", async () => {
  describing();
  const schemas = { config: {}, recipe: {}, selection: {}, student: { budget: STUDENTS.StudentBudget.properties, families: STUDENTS.BudgetedStudent.properties.families, prune: STUDENTS.Pruning.properties } };
  const again = (change: object): unknown => build(fromJob(job(change), {}), { ...schemas, student: { ...schemas.student, families: { families: schemas.student.families } } } as never, true).body.student;
  expect(again({ student_budget: { budget: { bytes: 60000, latency_ms: null, threads: 1, form: "fp32" }, families: ["pruned"] } })).toEqual({ budget: { bytes: 60000, threads: 1, form: "fp32" }, families: ["pruned"] });
  const pruned = { student: { name: "timm:resnet34", options: { prune_ratio: 0.5, round_to: 4 } }, student_weights: { teacher: "tch_01", importance: "bn_scale" } };
  expect(again(pruned)).toEqual({ prune: { ratio: 0.5, importance: "bn_scale", teacher: "tch_01" } });
});

test("processes and hosts are asked for as typed, and by a clone as the job asked", async () => {
  const asked = (change: object): unknown => build({ ...fromJob(job({}), {}), ...change }, { config: {}, recipe: {}, selection: {} }, true).body.resources;
  expect([asked({}), asked({ processes: "auto" }), asked({ processes: "4", hosts: "2", sharding: "full" })]).toEqual([undefined, { processes: "auto" }, { processes: 4, hosts: 2, sharding: "full" }]);
  const again = (resources: object): unknown => build(fromJob(job({ resources } as object), {}), { config: {}, recipe: {}, selection: {} }, true).body.resources;
  expect([again({ processes: 1, hosts: 1, sharding: "none" }), again({ processes: 8, hosts: 2, sharding: "full" })]).toEqual([undefined, { processes: 8, hosts: 2, sharding: "full" }]);
});
