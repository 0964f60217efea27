import { describe, expect, test } from "vitest";

import { readResult } from "../api/result";
import type { Dataset, Teacher } from "../api/types";
import { ANSWERS, INSTRUCTIONS, MODEL, REVIEWS } from "../testing/texts";
import { job } from "../testing/samples";
import { build, EMPTY, pairs, withOption } from "./draft";
import { chosen, suggested, trouble } from "./folder";
import { samplesOf, studentFile } from "./jobs";
import { classWords, datasetFindings, teacherFindings } from "./report";
import { ask, parse } from "./schema";
import { misfits, settingsFor, subjectOf, subjectOfDataset, subjects } from "./subject";

const file = (name: string): File => new File(["x"], name);
const names = (files: File[]): string[] => files.map(({ name }) => name);

test("a report on texts is read for what it says of them", () => {
  const found = datasetFindings(REVIEWS);
  expect(found).toMatchObject({ noun: "texts", duplicates: 5, classes: ["bad", "good"], sizes: "" });
  expect(found?.text).toMatchObject({ form: "labelled texts", words: [3, 21, 400], longer: [[128, 0.25], [256, 0.1], [512, 0]] });
  expect(datasetFindings(INSTRUCTIONS)).toMatchObject({ noun: "instructions", classes: [], text: { form: "conversations, the last message by the assistant" } });
  expect(datasetFindings({ kind: "classify", pairs: true })?.text?.form).toBe("labelled pairs of texts"); // an older report
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
  expect([suggested(all), suggested([file("resnet.safetensors")])]).toEqual(["transformers:auto", ""]);
  expect(trouble([file("model.safetensors")], "transformers:auto")).toMatch(/missing: config\.json, tokenizer\.json/);
  expect([trouble(all, "transformers:bert"), trouble([file("m.zip")], "transformers:auto"), trouble([file("m.safetensors")], "timm:resnet34"), trouble([], "transformers:auto")]).toEqual(["", "", "", ""]);
});

describe("texts or images", () => {
  const dataset = (id: string, report: Dataset["report"], kind = "table"): Dataset => ({ id, kind, report }) as Dataset;
  const teacher = (id: string, name: string): Teacher => ({ id, architecture: { name, options: {} } }) as Teacher;
  const datasets = [dataset("dst_t", REVIEWS), dataset("dst_i", { classes: ["a"] }), dataset("dst_n", null)];
  const teachers = [teacher("tch_t", "transformers:bert"), teacher("tch_i", "timm:resnet34")];
  const of = (given: Partial<typeof EMPTY>) => subjects({ ...EMPTY, ...given }, datasets, teachers);

  test("is said by the first that knows", () => {
    expect(subjectOfDataset(dataset("d", null, "named"))).toBe("images");
    expect(subjectOf(of({}))).toBeNull();
    expect(subjectOf(of({ dataset: "named:digits", teacher: "tch_t" }))).toBe("images");
    expect(subjectOf(of({ dataset: "dst_t", teacher: "tch_i" }))).toBe("texts");
    expect(subjectOf(of({ dataset: "dst_n", teacher: "tch_t" }))).toBe("texts");
    expect(subjectOf(of({ student: "retort:resnet8" }))).toBe("images");
  });

  test("what does not fit is said where it stands", () => {
    expect(misfits(of({ dataset: "dst_t", teacher: "tch_i", student: "retort:resnet8" }), true)).toEqual(
      new Map([
        ["/teacher", "This teacher is for images, but the dataset holds texts."],
        ["/student", "This student is for images, but the dataset holds texts: choose a student of the library transformers, best transformers:auto."],
      ]),
    );
    expect(misfits(of({ teacher: "tch_i", student: "transformers:auto" }), true).get("/student")).toMatch(/^This student is for texts, but the teacher is for images/);
    expect(misfits(of({ dataset: "dst_i", teacher: "tch_t" }), false).size).toBe(0); // no teacher is sent
    expect(misfits(of({ dataset: "dst_t", teacher: "tch_t", student: "transformers:auto" }), true).size).toBe(0);
  });

  test("settings of the other kind are neither asked for nor sent", () => {
    const config = { epochs: { type: "integer" }, augmentation: { type: "string", "x-data": "images" }, max_length: { type: "integer", "x-data": "texts" } };
    expect(Object.keys(settingsFor(config, "texts"))).toEqual(["epochs", "max_length"]);
    expect(Object.keys(settingsFor(config, "images"))).toEqual(["epochs", "augmentation"]);
    expect(Object.keys(settingsFor(config, null))).toEqual(["epochs", "augmentation", "max_length"]);
    const draft = { ...EMPTY, dataset: "dst_t", student: "transformers:auto", config: { augmentation: "crop_flip", max_length: "64" } };
    expect(build(draft, { config: settingsFor(config, "texts"), recipe: {}, selection: {} }, true).body.config).toEqual({ recipe: "feature_only", max_length: 64 });
  });

  test("a job's student has the name that its file has", () => {
    const text = job({ student: { name: "transformers:auto", options: {} } });
    expect([studentFile(job()), samplesOf(job()), studentFile(text), samplesOf(text)]).toEqual(["student.safetensors", "images", "student.zip", "texts"]);
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
  expect(result?.text).toEqual({ generates: true, duplicates: 3, maxLength: 64, truncated: [{ split: "train", cut: 9, of: 90 }, { split: "test", cut: 0, of: 20 }] });
  expect(result?.columns[1]).toMatchObject({ perplexity: 12.5, rougeL: { value: 0.31, n: 20 }, tokensPerSecond: 840.2, one: "one text of 64 tokens" });
});
