import { expect, test } from "vitest";
import { readFigures } from "./figures";
import { readResult } from "./result";

const network = (share: number) => ({ architecture: { name: "retort:resnet8" }, recipe: "simkd", accuracy: { value: share, low: 0, high: 1, n: 10 }, parameters: 5, per_class: { cat: { value: share, n: 10 } } });
const found = { teacher: network(0.9), student: network(0.7), comparison: null, companions: { composite: network(0.8) }, verdict: { text: "", beats: null } };

test("networks delivered beside the student have a column of their own", () => {
  expect(readResult({ result: found })?.columns.map(({ title }) => title)).toEqual(["Teacher", "Student", "Composite"]);
  expect(readFigures(found).columns).toEqual(["Teacher", "Student", "Composite"]);
  expect(readFigures(found).classes[0]?.values).toEqual([0.9, 0.7, 0.8]);
});

test("results of earlier releases have none", () => {
  expect(readResult({ result: { student: network(0.7) } })?.columns.map(({ title }) => title)).toEqual(["Student"]);
});
