import { describe, expect, test } from "vitest";

import { job } from "../testing/samples";
import { build, EMPTY, fromJob } from "./draft";
import { formatLabels, parseLabels } from "./labels";

const NAME = "abzAZ019_.-";
const VALUE = 'ab 0.1e=:,"\n\t\r\'\u00a0é😀/';

/** Mulberry32: the same texts in every run. */
function dice(seed: number): (sides: number) => number {
  return (sides) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % sides;
  };
}

const word = (roll: (sides: number) => number, letters: string[], shortest: number): string =>
  Array.from({ length: shortest + roll(6) }, () => letters[roll(letters.length)]).join("");

describe("labels", () => {
  test.each([
    ["commit=00123", { commit: "00123" }],
    ["version=1.10, sha=12345e7, hex=0x10", { version: "1.10", sha: "12345e7", hex: "0x10" }],
    ["url=http://a:8/x", { url: "http://a:8/x" }],
    ["url:http://a?b=c", { url: "http://a?b=c" }],
    ["t=12:30", { t: "12:30" }],
    ["sizes=1 2", { sizes: "1 2" }],
    ["deep=true, bare, empty=", { deep: "true", bare: "", empty: "" }],
    ["team=vision\r\ntry=3\n", { team: "vision", try: "3" }],
    ['note="a, b", said=say "hi", open="a', { note: "a, b", said: 'say "hi"', open: '"a' }],
    ['note="one ""two"""', { note: 'one "two"' }],
    [" , ,\n", {}],
  ])("%s stay as typed", (text, labels) => expect(parseLabels(text)).toEqual(labels));

  test("what cannot be meant is refused", () => {
    expect(() => parseLabels("=5")).toThrow("has no name");
    expect(() => parseLabels("a=1, a=2")).toThrow("a is given twice");
    expect([...build({ ...EMPTY, labels: "a=1, a=2" }, { config: {}, recipe: {}, selection: {} }, true).errors.keys()]).toEqual(["/labels"]);
  });

  test("what is written is read again, whatever it holds", () => {
    const roll = dice(7);
    for (let round = 0; round < 3000; round++) {
      const labels = Object.fromEntries(Array.from({ length: roll(5) }, () => [word(roll, [...NAME], 1), word(roll, [...VALUE], 0)]));
      expect(parseLabels(formatLabels(labels))).toEqual(labels);
    }
  });

  test("a clone has the labels of its job, and asks for the same", () => {
    const labels = { note: "a, b", commit: "00123", url: "http://a:8/x" };
    const draft = fromJob(job({ labels }), {});
    expect(draft.labels).toBe('note="a, b", commit=00123, url=http://a:8/x');
    expect(build(draft, { config: {}, recipe: {}, selection: {} }, true).body.labels).toEqual(labels);
  });
});
