import { expect, test } from "vitest";

import type { Dataset, Recipe, Task, Teacher } from "../api/types";
import { apart, fits, learns, stranger, unfit, unlearnable, withheld, withoutLabels } from "./teaching";

const teacher = (id: string, num_classes: number) => ({ id, report: { num_classes, in_channels: 3 } }) as unknown as Teacher;
const TEACHERS = [teacher("imagenet", 1000), teacher("backbone", 0), teacher("own", 10)];
const DATASETS = [{ id: "ten", report: { classes: Array.from({ length: 10 }, (_, at) => `c${at}`) } }] as unknown as Dataset[];
const recipe = (name: string, reads_logits: boolean, features_alone: object = {}) => ({ name, reads_logits, features_alone }) as unknown as Recipe;
const of = (id: string, teacher_classes = "") => stranger({ teacher: id, dataset: "ten", config: { teacher_classes } }, TEACHERS, DATASETS);

test("a teacher of other classes, or of none, is told by the numbers", () => {
  expect([of("imagenet"), of("backbone"), of("own"), of("gone")]).toEqual(["it tells 1000 classes apart, the dataset has 10", "it has no classifier", "", ""]);
  expect(of("own", "other")).not.toBe("");
  expect(stranger({ teacher: "imagenet", dataset: "named:digits", config: {} }, TEACHERS, DATASETS)).toBe("");
});

test("recipes that read logits are refused unless a parameter makes them read features alone", () => {
  const why = of("imagenet");
  const [logit, features, both] = [recipe("logit", true), recipe("feature_only", false), recipe("feature_logit", true, { kl: false })];
  expect([logit, features, both].map((each) => learns(each, why))).toEqual([false, true, true]);
  expect(unfit(logit, {}, why)).toMatch(/features alone/);
  expect(unfit(both, {}, why)).toMatch(/set kl to false/);
  expect([unfit(both, { kl: "false" }, why), unfit(features, {}, why), unfit(logit, {}, "")]).toEqual(["", "", ""]);
});

test("a dataset without labels has no classes for a teacher's logits", () => {
  const none = { id: "none", report: { classes: [], without_label: { train: 8, test: 2 } } } as unknown as (typeof DATASETS)[number];
  const talks = { id: "talks", report: { classes: [] } } as unknown as (typeof DATASETS)[number];
  expect([withoutLabels({ dataset: "none" }, [none]), withoutLabels({ dataset: "talks" }, [talks])]).toEqual([true, false]);
  expect(stranger({ teacher: "imagenet", dataset: "none", config: {} }, TEACHERS, [none])).toContain("no labels");
});

test("several teachers want a recipe and a task that take them", () => {
  const takes = { ...recipe("logit", true), several_teachers: true } as Recipe;
  const task = (several_teachers: boolean) => [{ several_teachers }] as unknown as Task[];
  expect(apart(recipe("simkd", false), null, [])).toBe("");
  expect(apart(recipe("simkd", false), null, ["b"])).toMatch(/one teacher/);
  expect([apart(takes, task(true), ["b"]), apart(takes, null, ["b"])]).toEqual(["", ""]);
  expect(apart(takes, task(false), ["b"])).toMatch(/one teacher/);
  expect(stranger({ teacher: "own", further: ["imagenet"], dataset: "ten", config: {} }, TEACHERS, DATASETS)).toMatch(/of imagenet, it tells 1000/);
});

test("of the recipes are offered those that take the number of teachers and the labels there are", () => {
  const from = (name: string, more: object) => ({ ...recipe(name, false), needs_teacher: true, ...more }) as Recipe;
  const [set, one] = [from("vid", { several_teachers: true }), from("simkd", { several_teachers: false })];
  const [alone, memory] = [from("cross_entropy", { needs_teacher: false, wants_some_labels: true }), from("crd", { wants_some_labels: true })];
  const told = (further: string[], bare: boolean) => [set, one, alone, memory].filter((each) => fits(each, "", further, bare)).map(({ name }) => name);
  expect(told([], false)).toEqual(["vid", "simkd", "cross_entropy", "crd"]);
  expect(told(["b"], false)).toEqual(["vid", "cross_entropy"]);
  expect(told([], true)).toEqual(["vid", "simkd"]);
  expect(unlearnable(memory, true)).toMatch(/labels/);
  expect([unlearnable(memory, false), unlearnable(one, true), unlearnable(undefined, true)]).toEqual(["", "", ""]);
});

test("a recipe that is not offered is named, with one reason", () => {
  const own = { ...recipe("cross_entropy", false), needs_teacher: false, wants_some_labels: true } as Recipe;
  const all = [{ ...recipe("logit", true), needs_teacher: true }, { ...recipe("simkd", false), needs_teacher: true }, own] as Recipe[];
  expect(withheld(all, "", [], false)).toEqual([]);
  const [logits, labels, one, ...rest] = withheld(all, of("imagenet"), ["b"], true);
  expect([logits, labels, one].map((said) => said?.split(": ").at(-1))).toEqual(["logit.", "cross entropy.", "simkd."]);
  expect(logits).toContain("1000 classes");
  expect(rest).toEqual([]);
});
