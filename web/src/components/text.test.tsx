import { fireEvent, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { readResult } from "../api/result";
import type { Dataset as DatasetData, Teacher as TeacherData } from "../api/types";
import { emptyHistory } from "../live/history";
import { Dataset } from "../pages/Dataset";
import { Datasets } from "../pages/Datasets";
import { NewJob } from "../pages/NewJob";
import { Teacher } from "../pages/Teacher";
import { Teachers } from "../pages/Teachers";
import { Absolute } from "../testing/absolute";
import { job } from "../testing/samples";
import { show, task } from "../testing/tasks";
import { ANSWERS, INSTRUCTIONS, MODEL, REVIEWS } from "../testing/texts";
import { CurveCard, unscored } from "./CurveCard";
import { JobRow } from "./JobRow";
import { ResultCard, resultCsv } from "./ResultCard";
import { Toasts } from "./Toasts";
import { measured } from "./TrainingCharts";
import { TeacherUpload } from "./UploadForm";

const MADE = { status: "ready", labels: {}, created_at: "2026-01-31T12:00:00Z", size_bytes: 5000, error: null };
const dataset = (id: string, name: string, report: object): DatasetData =>
  ({ ...MADE, id, name, report, task: (report as { task?: string }).task ?? "classify_images", kind: "table", files: {}, digest: "0", thumbnails: null }) as unknown as DatasetData;
const teacher = (id: string, name: string, architecture: string, report: object): TeacherData =>
  ({ ...MADE, id, name, architecture: { name: architecture, options: {} }, report, sha256: "0", source: null }) as unknown as TeacherData;

const DATASETS = [dataset("dst_t", "reviews", REVIEWS), dataset("dst_g", "chats", INSTRUCTIONS), dataset("dst_i", "photos", { classes: ["a"], counts: { train: [3] } })];
const TEACHERS = [teacher("tch_t", "minilm", "transformers:bert", MODEL), teacher("tch_b", "base", "transformers:bert", { ...MODEL, num_classes: 0 }), teacher("tch_i", "resnet", "timm:resnet34", { num_classes: 10 })];
const OPTIONS = { layers: { type: "integer", minimum: 1 }, width: { type: "integer" }, parameters: { type: "integer" }, initialise: { type: "string", enum: ["auto", "teacher", "random"], default: "auto" } };
const CONFIG = {
  epochs: { type: "integer", default: 50 },
  augmentation: { type: "string", enum: ["none", "crop_flip"], default: "none" },
  max_length: { anyOf: [{ type: "integer" }, { const: "auto", type: "string" }], default: "auto" },
  text_features: { type: "string", enum: ["auto", "cls"], default: "auto" },
};
const recipe = (name: string, needs: boolean) => ({ name, summary: name, parameters: {}, needs_teacher: needs, needs_layers: needs });
const page = (items: object[]) => ({ items, next_cursor: null });

const ANSWERED: Record<string, object> = {
  "/datasets": page(DATASETS),
  "/datasets/dst_t": DATASETS[0]!,
  "/datasets/dst_g": DATASETS[1]!,
  "/teachers": page(TEACHERS),
  "/teachers/tch_t": TEACHERS[0]!,
  "/teachers/tch_b": TEACHERS[1]!,
  "/jobs": page([]),
  "/catalogue": { recipes: [recipe("feature_only", true), recipe("cross_entropy", false)], losses: [], selections: [{ name: "auto", summary: "", parameters: {} }], optimizers: [], presets: [], datasets: [{ name: "digits", task: "classify_images" }], architectures: 1400 },
  "/catalogue/datasets": page([]),
  "/catalogue/architectures": page([{ name: "transformers:auto", options: OPTIONS }, { name: "transformers:bert", options: OPTIONS }]),
  "/openapi.json": { components: { schemas: { DistillConfig: { properties: CONFIG } } } },
  "/system": { dataset_references: [] },
};
const sent: unknown[] = [];

beforeEach(() => {
  sent.length = 0;
  vi.stubGlobal("Request", Absolute);
  vi.stubGlobal("fetch", async (request: Request) => {
    const { pathname } = new URL(request.url);
    if (request.method === "POST") sent.push(await request.clone().json());
    const found = request.method === "POST" ? { id: "job_9" } : ANSWERED[pathname];
    return new Response(JSON.stringify(found ?? { detail: `no ${pathname}` }), { status: found ? 200 : 404, headers: { "Content-Type": "application/json" } });
  });
});
afterEach(() => vi.unstubAllGlobals());

test("a dataset of texts: its kind, lengths, what is cut, examples, and a warning that nobody overlooks", async () => {
  show(<Dataset id="dst_t" />);
  const warning = await screen.findByRole("note");
  expect(warning.textContent).toContain("5 of 20 test texts (25.0 %) are also among the training texts.");
  for (const text of ["table of labelled texts", "Texts by class", "Lengths", "128 tokens", "10.0 %", "It broke at once.", "the first training text of each class"]) expect(screen.getByText(text, { exact: false })).toBeTruthy();
  expect(screen.getByText("No test split: 20% held out.")).toBeTruthy();
  expect(screen.queryByText(/scores are too high/)).toBeNull(); // said once, above
});

test("instructions without labels have no classes, which is said", async () => {
  show(<Dataset id="dst_g" />);
  expect(await screen.findByText("none: no Q curve, layers are paired evenly")).toBeTruthy();
  expect(screen.getByText(/conversations, the last message by the assistant/)).toBeTruthy();
  expect(screen.getByText("A wren.")).toBeTruthy();
  expect(screen.queryByRole("note")).toBeNull();
  expect(screen.queryByText(/by class/)).toBeNull();
});

test("a language model: family, blocks, vocabulary, and a base that has no classes yet", async () => {
  const { unmount } = show(<Teacher id="tch_t" />);
  expect(await screen.findByText("bert, an encoder: classifies")).toBeTruthy();
  for (const text of ["30,522 tokens", "512 tokens", "bad, good"]) expect(screen.getByText(text)).toBeTruthy();
  unmount();
  show(<Teacher id="tch_b" />);
  expect(await screen.findByText("none: a base to fine-tune")).toBeTruthy();
});

test("one list shows teachers and datasets, each with its own columns", async () => {
  const { unmount } = show(<Teachers />);
  expect((await screen.findAllByRole("columnheader")).map(({ textContent }) => textContent)).toEqual(["Teacher", "Status", "Parameters", "Classes", "Size", "Registered"]);
  expect(screen.getByRole("row", { name: /base.*none: a base to fine-tune/ })).toBeTruthy();
  unmount();
  show(
    <Toasts>
      <Datasets />
    </Toasts>,
  );
  expect(await screen.findByRole("row", { name: /reviews.*Text classification.*120 texts/ })).toBeTruthy();
  expect(screen.getByRole("row", { name: /photos.*3 images/ })).toBeTruthy();
});

test("a model's folder is chosen at once; what it lacks is said before anything is sent", async () => {
  show(<TeacherUpload onDone={() => {}} />);
  const input = document.querySelector<HTMLInputElement>("input[type=file]")!;
  const file = (name: string): File => new File(["x"], name);
  fireEvent.change(input, { target: { files: [file("config.json"), file("model.safetensors"), file("README.md")] } });
  expect(screen.getByRole("combobox", { name: "Its architecture" })).toHaveProperty("value", "transformers:auto");
  expect(screen.getByRole("alert").textContent).toContain("still missing: tokenizer.json");
  expect(screen.getByRole("button", { name: "Register teacher" })).toHaveProperty("disabled", true);
  expect(screen.queryByText("README.md")).toBeNull();
  fireEvent.change(input, { target: { files: ["config.json", "model.safetensors", "tokenizer.json"].map(file) } });
  expect(screen.queryByRole("alert")).toBeNull();
  expect(screen.getByRole("button", { name: "Register teacher" })).toHaveProperty("disabled", false);
});

async function newJob() {
  show(
    <Toasts>
      <NewJob />
    </Toasts>,
  );
  const user = userEvent.setup();
  const data = await screen.findByLabelText("Dataset");
  return { user, data };
}

test("the form of a job on texts asks for what texts have", async () => {
  const { user, data } = await newJob();
  expect(screen.getByLabelText("augmentation")).toBeTruthy();
  await user.selectOptions(screen.getByLabelText("augmentation"), "crop_flip");
  await user.selectOptions(data, "dst_t");
  expect(screen.getByRole("combobox", { name: "Architecture" })).toHaveProperty("value", "transformers:auto");
  expect(screen.queryByLabelText("augmentation")).toBeNull();
  expect(screen.getByLabelText("max length")).toBeTruthy();
  expect(screen.getByLabelText("text features")).toBeTruthy();
  await user.type(await screen.findByLabelText("layers"), "2");
  await user.type(screen.getByLabelText("width"), "128");
  expect(screen.getByLabelText("parameters")).toHaveProperty("placeholder", "none");
  const offered = within(screen.getByLabelText("Teacher")).getAllByRole("option").map(({ textContent }) => textContent);
  expect(offered).toEqual(["Choose a teacher", "minilm (transformers:bert, 2 classes)", "base (transformers:bert, none: a base to fine-tune)"]);
  await user.selectOptions(screen.getByLabelText("Teacher"), "tch_t");
  await user.click(screen.getByRole("button", { name: "Submit job" }));
  expect(sent).toEqual([{ teacher: "tch_t", dataset: "dst_t", student: { name: "transformers:auto", options: { layers: 2, width: 128 } }, config: { recipe: "feature_only" } }]);
});

test("fine-tuning starts from a model folder; networks of images start from nothing", async () => {
  const { user, data } = await newJob();
  await user.click(screen.getByRole("radio", { name: /cross entropy/ }));
  expect(screen.queryByLabelText("Teacher")).toBeNull();
  await user.selectOptions(data, "dst_t");
  expect(screen.getByRole("heading", { name: "2. Base model" })).toBeTruthy();
  expect(screen.getByText("Still to choose: a teacher.")).toBeTruthy();
  await user.selectOptions(data, "named:digits");
  expect(screen.queryByLabelText("Teacher")).toBeNull();
  expect(screen.getAllByText(/This student is for Text classification or Instruction following, but the dataset is for Image classification/).length).toBeGreaterThan(0);
  expect(screen.getByRole("button", { name: "Submit job" })).toHaveProperty("disabled", true);
});

test("a result on instructions: perplexity, ROUGE-L, tokens a second, what is cut, and the file's real name", () => {
  const result = readResult({ result: ANSWERS })!;
  const done = job({ status: "succeeded", task: "generate_text", student: { name: "transformers:auto", options: {} }, links: { student: "/jobs/job_01/student" } });
  show(<ResultCard job={done} result={result} />);
  for (const text of ["Accuracy of the answers' tokens", "Perplexity of the answers", "12.5", "ROUGE-L of greedy answers", "840 /s", "16 prompts at a time", "one instruction of 64 tokens, median"]) expect(screen.getAllByText(text).length).toBeGreaterThan(0);
  expect(screen.getByRole("note").textContent).toContain("3 test instructions are also among the training instructions");
  expect(screen.getByText(/Longer than max_length \(64 tokens\) and cut: 9 of 90 train instructions \(10\.0 %\)\./)).toBeTruthy();
  expect(screen.getByRole("button", { name: "student.zip" })).toBeTruthy();
  expect(resultCsv(result, task("generate_text").metrics).split("\r\n")[2]).toContain("12.5,0.31,840.2");
});

test("a row tells the task's primary metric beside the teacher's", () => {
  show(
    <table>
      <tbody>
        <JobRow job={job({ status: "succeeded", task: "generate_text", result: ANSWERS })} curve={undefined} names={new Map()} now={0} picked={false} onPick={() => {}} onChange={() => {}} />
      </tbody>
    </table>,
  );
  expect(screen.getByRole("row").textContent).toContain("40.00 % accuracy of the answers' tokensteacher 40.00 %");
});

test("without classes there is no curve, and the page says why", () => {
  const history = emptyHistory();
  expect(unscored(history)).toBe(false);
  history.selection = { rule: "even", chosen: [1], teacher_layers: ["model.layers.1"], student_layers: ["model.layers.0"], reason: "even depths, because there is no Q curve: no labels" };
  expect(unscored(history)).toBe(true);
  show(<CurveCard job={job()} history={history} />);
  expect(screen.getByText("There is no Q curve: the dataset has no classes to compare. The layers were paired without one.")).toBeTruthy();
});

test("perplexity has a chart of its own while a decoder trains", () => {
  const validation = (names: string[]) => ({ step: [1], values: new Map(names.map((name) => [name, [0.5]])) });
  const { metrics } = task("generate_text");
  expect(measured(validation(["accuracy", "loss"]), metrics)).toEqual([]);
  expect(measured(validation(["accuracy", "perplexity"]), metrics)).toEqual([{ name: "perplexity of the answers", values: [0.5] }]);
});
