import { expect, test } from "vitest";

import type { JobEvent } from "../api/types";
import { event, layer } from "../testing/samples";
import { add, emptyHistory, type History, ofTeacher } from "./history";

const fold = (...events: JobEvent[]): History => {
  const history = emptyHistory();
  for (const each of events) add(history, each);
  return history;
};

test("an event that comes twice changes nothing", () => {
  const history = fold(event(1, "status", { status: "queued" }), event(2, "layer_quality", { ...layer(0, 2) }));
  expect(add(history, event(2, "layer_quality", { ...layer(1, 2) }))).toBe(false);
  expect(history.layers).toHaveLength(1);
});

test("phases have their times, and a new attempt begins anew", () => {
  const { phases } = fold(
    event(1, "status", { status: "queued" }, 0),
    event(2, "status", { status: "running" }),
    event(3, "phase", { phase: "fetching" }),
    event(4, "phase", { phase: "scoring" }),
    event(5, "status", { status: "queued" }),
    event(6, "status", { status: "running" }, 2),
    event(7, "phase", { phase: "scoring" }, 2),
  );
  expect(phases.map(({ phase, attempt }) => `${phase} ${attempt}`)).toEqual(["fetching 1", "scoring 1", "fetching 2", "scoring 2"]);
  expect(phases[1]?.endedAt).toBe(event(5, "", {}).created_at);
  expect(phases[3]?.endedAt).toBeNull();
});

test("layers are kept in depth order, in whatever order they are scored", () => {
  const { layers } = fold(event(1, "layer_quality", { ...layer(2, 3) }), event(2, "layer_quality", { ...layer(0, 3) }));
  expect(layers.map(({ index }) => index)).toEqual([0, 2]);
});

test("metrics become columns by split; a value that appears late is empty before", () => {
  const metrics = (seq: number, step: number, values: Record<string, unknown>, attempt = 1): JobEvent => event(seq, "metrics", { step, epoch: 0, split: "train", values }, attempt);
  const history = fold(metrics(1, 10, { loss: 2 }), metrics(2, 30, { loss: 1, accuracy: 0.5 }), metrics(3, 20, { loss: Infinity }, 2));
  const train = history.metrics.get("train");
  expect(train?.step).toEqual([10, 20, 30]);
  expect(train?.values.get("loss")).toEqual([2, null, 1]);
  expect(train?.values.get("accuracy")).toEqual([null, null, 0.5]);
  expect(history.attemptStarts).toEqual([{ attempt: 2, step: 20, split: "train" }]);
});

test("a hundred thousand metrics are folded without copying", () => {
  const history = emptyHistory();
  for (let seq = 1; seq <= 100_000; seq += 1) add(history, { seq, kind: "metrics", data: { step: seq, split: "train", values: { loss: 1 / seq } }, attempt: 1, created_at: "2026-01-31T12:00:00Z" });
  expect(history.metrics.get("train")?.step).toHaveLength(100_000);
});

test("each of several teachers has its own curve and layers", () => {
  const pairs = (name: string) => ({ rule: "top_q", chosen: [0], teacher_layers: [name], student_layers: ["s"], reason: "" });
  const history = fold(
    event(1, "layers", { total_layers: 2, teacher: 0 }),
    event(2, "layer_quality", { ...layer(0, 2), teacher: 0 }),
    event(3, "selection", { ...pairs("first"), teacher: 0 }),
    event(4, "layers", { total_layers: 5, teacher: 1 }),
    event(5, "layer_quality", { ...layer(0, 5), teacher: 1 }),
    event(6, "layer_quality", { ...layer(1, 5), teacher: 1 }),
    event(7, "selection", { ...pairs("second"), teacher: 1 }),
  );
  const told = [0, 1, 2].map((place) => ofTeacher(history, place));
  expect(told.map(({ layers }) => layers.length)).toEqual([1, 2, 0]);
  expect(told.map(({ frame }) => frame?.total_layers)).toEqual([2, 5, undefined]);
  expect(told.map(({ selection }) => selection?.teacher_layers[0])).toEqual(["first", "second", undefined]);
});
