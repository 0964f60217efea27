import { expect, test } from "vitest";

import type { Dataset, Recipe, Task, Teacher } from "../api/types";
import { apart, learns, stranger, unfit, withoutLabels } from "./teaching";

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
