import { describe, expect, test } from "vitest";

import { figureAt, readResult } from "../api/result";
import type { Dataset, Task, Teacher } from "../api/types";
import { ANSWERS, INSTRUCTIONS, MODEL, REVIEWS } from "../testing/texts";
import { job } from "../testing/samples";
import { task, TASKS } from "../testing/tasks";
import { build, EMPTY, pairs, withOption } from "./draft";
import { chosen, suggested, trouble } from "./folder";
import { classWords, datasetFindings, teacherFindings } from "./report";
import { ask, parse } from "./schema";
import { accepting, capital, chosenTasks, has, metricsOf, misfits, ofTeacher, samplesOf, settingsFor, shown, studentFile, tasksOf } from "./tasks";

const file = (name: string): File => new File(["x"], name);
const names = (files: File[]): string[] => files.map(({ name }) => name);

test("a report on texts is read for what it says of them", () => {
  const found = datasetFindings(REVIEWS);
  expect(found).toMatchObject({ duplicates: 5, classes: ["bad", "good"], sizes: "" });
  expect(found?.text).toMatchObject({ form: "labelled texts", words: [3, 21, 400], longer: [[128, 0.25], [256, 0.1], [512, 0]] });
  expect(datasetFindings(INSTRUCTIONS)).toMatchObject({ classes: [], text: { form: "conversations, the last message by the assistant" } });
  expect(datasetFindings({ kind: "classify", pairs: true, words: [1, 2, 3] })?.text?.form).toBe("labelled pairs of texts"); // an older report
  expect(datasetFindings({ classes: ["a"] })?.text).toBeNull();
});

test("a language model's report is told from a network's", () => {
  const found = teacherFindings(MODEL);
  expect(found?.layers).toEqual([]);
  expect(found?.language).toMatchObject({ family: "bert", generates: false, blocks: 6, vocabulary: 30522, classNames: ["bad", "good"] });
  expect(classWords(found)).toBe("2");
  expect(classWords(teacherFindings({ ...MODEL, num_classes: 0 }))).toBe("none: a base to fine-tune");
  expect(classWords(teacherFindings({ ...MODEL, num_classes: 0, generates: true }))).toBe("none: it answers");
  expect(teacherFindings({ num_classes: 10, layers: [] })?.language).toBeNull();
});

test("of a model's folder only what is needed is sent, and what is missing is said before", () => {
  const all = ["config.json", "model.safetensors", "tokenizer.json", "README.md", "pytorch_model.bin"].map(file);
  expect(names(chosen(all))).toEqual(["config.json", "model.safetensors", "tokenizer.json"]);
  expect(names(chosen([file("a.bin"), file("b.md")]))).toEqual(["a.bin", "b.md"]);
  expect([suggested(TASKS, all), suggested(TASKS, [file("resnet.safetensors")])]).toEqual(["transformers:auto", ""]);
  expect(trouble(TASKS, [file("model.safetensors")], "transformers:auto")).toMatch(/missing: config\.json, tokenizer\.json/);
  expect([trouble(TASKS, all, "transformers:bert"), trouble(TASKS, [file("m.zip")], "transformers:auto"), trouble(TASKS, [file("m.safetensors")], "timm:resnet34"), trouble(TASKS, [], "transformers:auto")]).toEqual(["", "", "", ""]);
});

describe("what a job is for", () => {
  const dataset = (id: string, task: string | null): Dataset => ({ id, task }) as Dataset;
  const teacher = (id: string, name: string, report: object | null = null): Teacher => ({ id, architecture: { name, options: {} }, report }) as unknown as Teacher;
  const datasets = [dataset("dst_t", "classify_text"), dataset("dst_i", "classify_images"), dataset("dst_n", null)];
  const teachers = [teacher("tch_t", "transformers:bert", { tasks: ["classify_text"] }), teacher("tch_o", "transformers:opt"), teacher("tch_i", "timm:resnet34")];
  const sets = [{ name: "digits", task: "classify_images" }];
  const of = (given: Partial<typeof EMPTY>) => chosenTasks({ ...EMPTY, ...given }, TASKS, datasets, teachers, sets);
  const names = (found: Task[] | null): string[] | null => found && found.map(({ name }) => name);

  test("is said by the first that knows", () => {
    expect(tasksOf(of({}))).toBeNull();
    expect(names(tasksOf(of({ dataset: "named:digits", teacher: "tch_t" })))).toEqual(["classify_images"]);
    expect(names(tasksOf(of({ dataset: "dst_t", teacher: "tch_i" })))).toEqual(["classify_text"]);
    expect(names(tasksOf(of({ dataset: "dst_n", teacher: "tch_t" })))).toEqual(["classify_text"]);
    expect(names(tasksOf(of({ teacher: "tch_o" })))).toEqual(["classify_text", "generate_text"]); // its report says nothing
    expect(names(tasksOf(of({ student: "retort:resnet8" })))).toEqual(["classify_images", "tag_images"]);
    expect(tasksOf(of({ student: "nowhere:net" }))).toBeNull();
  });

  test("what does not fit is said where it stands", () => {
    expect(misfits(of({ dataset: "dst_t", teacher: "tch_i", student: "retort:resnet8" }), "logit", true)).toEqual(
      new Map([
        ["/teacher", "This teacher is for Image classification or Multi-label image classification, but the dataset is for Text classification."],
        ["/student", "This student is for Image classification or Multi-label image classification, but the dataset is for Text classification: choose transformers:auto."],
      ]),
    );
    expect(misfits(of({ teacher: "tch_i", student: "transformers:auto" }), "logit", true).get("/student")).toMatch(/but the teacher is for Image classification or Multi-label image classification: choose timm:…, torchvision:…, retort:…/);
    expect(misfits(of({ dataset: "dst_i", teacher: "tch_t" }), "logit", false).size).toBe(0); // no teacher is sent
    expect(misfits(of({ dataset: "dst_t", teacher: "tch_t", student: "transformers:auto" }), "logit", true).size).toBe(0);
    const [only] = TASKS.filter(({ name }) => name === "classify_text").map((task) => ({ ...task, recipes: ["cross_entropy"] }));
    expect([...misfits({ dataset: [only!], teacher: null, student: null }, "logit", false).keys()]).toEqual(["/config/recipe"]);
  });

  test("an augmentation is chosen from those that the task offers", () => {
    const config = { augmentation: { type: "string", enum: ["none", "crop_flip", "mosaic", "randaugment"] } };
    const choices = (...names: string[]): unknown => settingsFor(config, TASKS, names.map((name) => task(name))).augmentation!.enum;
    expect(choices("segment_images")).toEqual(["none", "crop_flip"]);
    expect(choices("classify_images", "segment_images")).toEqual(["none", "crop_flip", "randaugment"]);
    expect(choices("detect_objects")).toEqual(["none", "crop_flip", "mosaic"]);
    expect(settingsFor(config, TASKS, null).augmentation!.enum).toHaveLength(4);
  });

  test("settings of other tasks are neither asked for nor sent", () => {
    const config = { epochs: { type: "integer" }, augmentation: { type: "string" }, max_length: { type: "integer" } };
    const [images, texts] = [[task("classify_images")], [task("classify_text")]];
    expect(Object.keys(settingsFor(config, TASKS, texts))).toEqual(["epochs", "max_length"]);
    expect(Object.keys(settingsFor(config, TASKS, images))).toEqual(["epochs", "augmentation"]);
    expect(Object.keys(settingsFor(config, TASKS, null))).toEqual(["epochs", "augmentation", "max_length"]);
    const batch = (...names: string[]): unknown => settingsFor({ batch_size: { type: "integer", default: 128 } }, TASKS, names.map((name) => task(name))).batch_size!.default;
    expect([batch("detect_objects"), batch("classify_images"), batch("detect_objects", "classify_images")]).toEqual([8, 128, 128]);
    const draft = { ...EMPTY, dataset: "dst_t", student: "transformers:auto", config: { augmentation: "crop_flip", max_length: "64" } };
    expect(build(draft, { config: settingsFor(config, TASKS, texts), recipe: {}, selection: {} }, true).body.config).toEqual({ recipe: "feature_only", max_length: 64 });
  });

  test("a job's student has the name that its file has", () => {
    expect([studentFile(TASKS, job()), studentFile(TASKS, job({ student: { name: "transformers:auto", options: {} } }))]).toEqual(["student.safetensors", "student.zip"]);
    expect([samplesOf(task("generate_text")), samplesOf(undefined), capital("images")]).toEqual(["instructions", "samples", "Images"]);
  });

  test.each(TASKS)("$name: its own networks, metrics and settings, whatever it is", (each) => {
    for (const prefix of each.architectures) expect(accepting(TASKS, `${prefix}net`)).toContain(each);
    expect(ofTeacher(TASKS, teacher("t", "x:y", { tasks: [each.name] }))).toEqual([each]);
    expect(metricsOf(TASKS, [job({ task: each.name }), job({ task: each.name })])).toEqual(each.metrics);
    expect(each.metrics.map((metric) => shown(metric, 0.5))).not.toContain("–");
    expect(Object.keys(settingsFor(Object.fromEntries(each.settings.map((name) => [name, {}])), TASKS, [each]))).toEqual(each.settings);
  });

  test("a metric of another task is another metric, whatever its key", () => {
    const jobs = [job({ task: "classify_images" }), job({ task: "generate_text" })];
    const found = metricsOf(TASKS, jobs).map((metric) => [metric.label, jobs.map((each) => has(TASKS, each, metric))]);
    expect(Object.fromEntries(found)).toMatchObject({ accuracy: [true, false], "accuracy of the answers' tokens": [false, true], loss: [true, true] });
  });

  test("a longer prefix takes a family out of a library", () => {
    const masks = { ...task("classify_images"), name: "masks", architectures: ["torchvision:masking_"] };
    expect(accepting([...TASKS, masks], "torchvision:masking_resnet50")).toEqual([masks]);
    expect(accepting([...TASKS, masks], "torchvision:resnet50")).toEqual([task("classify_images"), task("tag_images")]);
  });
});

test("one option among others is changed, and taken out", () => {
  expect(withOption("layers=2", "width", "128")).toBe("layers=2, width=128");
  expect(withOption("layers=2, width=128", "layers", " ")).toBe("width=128");
  expect(pairs(withOption("", "initialise", "random"))).toEqual({ initialise: "random" });
  const heads = ask({ type: ["integer", "string"], default: "auto" });
  expect([parse(heads, "auto"), parse(heads, "4")]).toEqual(["auto", 4]);
});

test("a result on instructions has what answers are judged by", () => {
  const result = readResult({ result: ANSWERS });
  expect(result?.text).toEqual({ duplicates: 3, maxLength: 64, truncated: [{ split: "train", cut: 9, of: 90 }, { split: "test", cut: 0, of: 20 }] });
  const student = result?.columns[1];
  const figures = task("generate_text").metrics.map((metric) => [metric.name, figureAt(student, metric)?.value]);
  expect(Object.fromEntries(figures)).toMatchObject({ perplexity: 12.5, rouge_l: 0.31, tokens_per_second: 840.2, accuracy: 0.4 });
  expect(student?.tokens).toBe(64);
});
