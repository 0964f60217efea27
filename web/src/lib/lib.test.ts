import { describe, expect, test } from "vitest";

import { figureAt, readResult, share, studentOf } from "../api/result";
import type { Job, JobCreate } from "../api/types";
import { match } from "../router";
import { job, RESULT } from "../testing/samples";
import { task } from "../testing/tasks";
import { csv, markdown } from "./csv";
import { build, EMPTY, fromJob, NAMED, pairs } from "./draft";
import { ago, bare, bytes, count, duration, figure, percent, short } from "./format";
import { matches } from "./jobs";
import { datasetFindings } from "./report";
import { ask, parse, type Schema } from "./schema";
import { settings } from "./settings";
import { curlDownload, curlJob, python } from "./snippets";

test("numbers, sizes and times", () => {
  expect([count(21289802), short(21289802), short(999), short(1999.6), short(null)]).toEqual(["21,289,802", "21.3 M", "999", "2.00 k", "–"]);
  expect([bytes(0), bytes(999), bytes(81_100), bytes(1_234_000_000)]).toEqual(["0 B", "999 B", "81.1 kB", "1.2 GB"]);
  expect([percent(0.97214), figure(0.00001234), figure(1.23456), figure(NaN)]).toEqual(["97.21 %", "1.23e-5", "1.235", "–"]);
  expect([duration(0.2), duration(61), duration(3700), duration(200_000)]).toEqual(["< 1 s", "1 min 01 s", "1 h 01 min", "2 d 7 h"]);
  expect([ago(0, 1000), ago(0, 12_000), ago(0, 180_000), ago(null, 0)]).toEqual(["just now", "12 s ago", "3 min ago", "–"]);
});

test("tables for spreadsheets and for Markdown", () => {
  expect(csv([["a", 'b"c', "d,e"], [1, null, "x\ny"]])).toBe('a,"b""c","d,e"\r\n1,,"x\ny"\r\n');
  expect(markdown([["", "a|b"], ["x", 1]])).toBe("|  | a\\|b |\n|---|---|\n| x | 1 |\n");
});

test("no text is a formula in a spreadsheet, and no number becomes text", () => {
  const cells = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", '=HYPERLINK("http://a","b")'];
  for (const cell of cells) expect(csv([[cell]]).replace(/^"/, "")).toMatch(/^'/);
  expect(csv([['=HYPERLINK("a","b")']])).toBe(`"'=HYPERLINK(""a"",""b"")"\r\n`);
  expect(csv([[-1, -0.5, 1e-7, "-1.25", "-1.2 %", "+3", "-1e-7", "a=b", "–", "x-y", null]])).toBe("-1,-0.5,1e-7,-1.25,-1.2 %,+3,-1e-7,a=b,–,x-y,\r\n");
});

describe("settings by their schema", () => {
  const rate: Schema = { anyOf: [{ type: "number" }, { const: "auto", type: "string" }], default: "auto" };
  const norm: Schema = { anyOf: [{ type: "number", exclusiveMinimum: 0 }, { type: "null" }], default: null };

  test("are asked for by kind", () => {
    expect(ask(rate)).toMatchObject({ kind: "number", auto: true, nullable: false });
    expect(ask(norm)).toMatchObject({ kind: "number", nullable: true, bounds: "above 0" });
    expect(ask({ enum: ["none", "crop_flip"], default: "none", type: "string" })).toMatchObject({ kind: "choice", choices: ["none", "crop_flip"] });
    expect(ask({ type: "string", "x-registry": "losses" }, { losses: ["mse", "cka"] })).toMatchObject({ kind: "choice", choices: ["mse", "cka"] });
    expect(ask({ anyOf: [{ type: "boolean" }, { const: "auto", type: "string" }], default: "auto" })).toMatchObject({ kind: "boolean", auto: true });
    expect(ask({ type: ["array", "null"], default: null })).toMatchObject({ kind: "list", nullable: true });
  });

  test("are read as typed, and refused in words", () => {
    expect([parse(ask(rate), "auto"), parse(ask(rate), " 1e-3 "), parse(ask(rate), ""), parse(ask(norm), "none")]).toEqual(["auto", 0.001, undefined, null]);
    expect(parse(ask({ type: ["array", "null"] }), "stages.0, stages.1")).toEqual(["stages.0", "stages.1"]);
    expect(parse(ask({ type: "array" }), "1, 0.5")).toEqual([1, 0.5]);
    expect(() => parse(ask({ type: "integer" }), "2.5")).toThrow("not a whole number");
    expect(() => parse(ask(rate), "fast")).toThrow("not a number");
  });
});

describe("the new-job form", () => {
  const schemas = { config: { epochs: { type: "integer", default: 50 }, learning_rate: { type: "number", default: "auto" } }, recipe: {}, selection: {} } as const;

  test("asks for nothing that was left at its default", () => {
    const draft = { ...EMPTY, teacher: "tch_1", dataset: `${NAMED}digits`, student: "retort:resnet8", options: "width=8", labels: "team=vision, try=3", config: { epochs: "5", learning_rate: "" } };
    expect(build(draft, schemas, true).body).toEqual({
      teacher: "tch_1",
      dataset: { named: "digits" },
      student: { name: "retort:resnet8", options: { width: 8 } },
      config: { recipe: "feature_only", epochs: 5 },
      labels: { team: "vision", try: "3" },
    });
    const mapped = build({ ...draft, start: "teacher:tch_s", map: "stem=conv1\nstages.0=layer1" }, schemas, true).body.student;
    expect(mapped).toMatchObject({ weights: { teacher: "tch_s", map: { stem: "conv1", "stages.0": "layer1" } } });
    expect(build({ ...draft, further: ["tch_b"] }, schemas, true).body.teacher).toEqual([draft.teacher, "tch_b"]);
    expect(build(draft, schemas, false).body).not.toHaveProperty("teacher");
  });

  test("says what is wrong, where", () => {
    const { errors } = build({ ...EMPTY, config: { epochs: "many" } }, schemas, true);
    expect([...errors]).toEqual([["/config/epochs", "many is not a number."]]);
  });

  test("starts from another job", () => {
    const draft = fromJob(job({ name: "first", labels: { team: "vision" } }), schemas.config as Record<string, Schema>);
    expect(draft).toMatchObject({ name: "first (copy)", labels: "team=vision", student: "retort:resnet8", options: "width=8", teacher: "tch_01", config: { epochs: "10" } });
    expect(draft.config).not.toHaveProperty("learning_rate");
  });

  test("options are names and values", () => {
    expect(pairs("width=8, blocks=1 2 3, act=relu, deep=true")).toEqual({ width: 8, blocks: [1, 2, 3], act: "relu", deep: true });
  });
});

test("the same request as a program; quotes survive the shell", () => {
  const body = { name: "it's", dataset: { named: "digits" }, student: "retort:resnet8" } as unknown as JobCreate;
  expect(curlJob("http://h", body, true)).toContain(`"name": "it'\\''s"`);
  expect(curlJob("http://h", body, true)).toContain('-H "Authorization: Bearer $RETORT_API_KEY"');
  expect(curlDownload("http://h", "/jobs/j/artifacts/a", "a", false)).toBe("curl -L -o 'a' 'http://h/jobs/j/artifacts/a'");
  expect(python({ a: [true, null], b: {} })).toBe('{\n    "a": [\n        True,\n        None,\n    ],\n    "b": {},\n}');
});

test("a result is read for what it has", () => {
  const result = readResult({ result: RESULT });
  expect(result?.columns.map(({ title }) => title)).toEqual(["Teacher", "Student", "Cross-entropy student"]);
  expect(figureAt(studentOf(result), task("classify_images").metrics[0]!)).toEqual({ value: 0.97, low: 0.96, high: 0.98, n: 400 });
  expect(result?.columns[2]?.latencyMs).toBeNull();
  expect([readResult({ result: null }), readResult({ result: {} }), share("x")]).toEqual([null, null, null]);
});

test("a dataset's report", () => {
  const report = { classes: ["a", "b"], counts: { train: [3, 4] }, heights: [8, 8, 8], widths: [8, 8, 8], modes: { grey: 7, colour: 0 }, corrupt: 0, corrupt_examples: {}, notes: [] };
  expect(datasetFindings(report)).toMatchObject({ sizes: "8 × 8 pixels", modes: "7 grey", counts: [{ split: "train", counts: [3, 4] }] });
});

test("settings tell what was asked for and what it became", () => {
  const resolved = { config: { learning_rate: 0.0075 }, reasons: { learning_rate: "ResNet", image_size: "as the data" } };
  const rows = settings(job({ resolved }));
  expect(rows.find(({ name }) => name === "learning_rate")).toEqual({ name: "learning_rate", value: 0.0075, asked: "auto", reason: "ResNet" });
  expect(rows.find(({ name }) => name === "image_size")?.reason).toBe("as the data");
});

test("a search finds every word somewhere in the job", () => {
  const names = new Map([["tch_01", "our teacher"]]);
  const found = (search: string, change: Partial<Job> = {}): boolean => matches(job({ name: "night run", labels: { team: "vision" }, ...change }), search, names);
  expect([found("night"), found("NIGHT teacher"), found("team:vision resnet8"), found("night absent"), found("")]).toEqual([true, true, true, false, true]);
});

test("addresses", () => {
  expect(match("/jobs/:id", "/jobs/job_1")).toEqual({ id: "job_1" });
  expect(match("/jobs/:id", "/jobs/a%2Fb/")).toEqual({ id: "a/b" });
  expect([match("/jobs/:id", "/jobs"), match("/", "/jobs"), match("/", "/")]).toEqual([null, null, {}]);
});

test("architectures by their own names", () => {
  expect(["timm:resnet34", "transformers:auto", "timm:resnet18 + retort:resnet8"].map(bare)).toEqual(["resnet34", "transformers", "resnet18 + resnet8"]);
});
