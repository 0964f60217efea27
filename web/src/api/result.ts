/** `Job.result` is an open object in OpenAPI; this reads out of it what the page shows, and nothing it does not find. */
import { MISSING } from "../lib/format";
import type { Job, Metric } from "./types";

export interface Share {
  value: number;
  low?: number;
  high?: number;
  n?: number;
}

export interface Column {
  title: string;
  architecture: string;
  recipe: string;
  /** As the service wrote it; `figureAt` reads a task's metrics out of it. */
  report: Record<string, unknown>;
  parameters: number | null;
  flops: number | null;
  bytes: number | null;
  latencyMs: number | null;
  latencyNote: string;
  /** Tokens of the sample that costs are told for; null where samples have none. */
  tokens: number | null;
}

/** What a job whose samples are cut to a length says of them. */
export interface TextData {
  duplicates: number;
  truncated: { split: string; cut: number; of: number }[];
  maxLength: number | null;
}

/** A setting that the comparison does not have in common with this run. */
export interface Differing {
  field: string;
  ours: string;
  theirs: string;
}

export interface Result {
  columns: Column[];
  verdict: string;
  beats: boolean | null;
  differences: Differing[];
  againstTeacher: Share | null;
  ending: string;
  /** Null where samples have no length. */
  text: TextData | null;
}

type Bag = Record<string, unknown>;
const bag = (value: unknown): Bag | null => (typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Bag) : null);
const number = (value: unknown): number | null => (typeof value === "number" && Number.isFinite(value) ? value : null);
const string = (value: unknown): string => (typeof value === "string" ? value : "");

export function share(value: unknown): Share | null {
  const plain = number(value);
  if (plain !== null) return { value: plain };
  const found = bag(value);
  const middle = number(found?.value);
  if (found === null || middle === null) return null;
  return { value: middle, low: number(found.low) ?? undefined, high: number(found.high) ?? undefined, n: number(found.n) ?? undefined };
}

/** Of a report's networks, by their keys. */
const TITLES: Record<string, string> = { teacher: "Teacher", student: "Student", comparison: "Comparison", composite: "Composite" };

export const titleOf = (network: string): string => TITLES[network] ?? network;

function column(name: string, value: unknown): Column | null {
  const found = bag(value);
  if (found === null) return null;
  const recipe = string(found.recipe);
  const latency = bag(found.latency);
  const threads = number(latency?.threads);
  const note = latency ? [string(latency.device), string(latency.dtype), threads === null ? "" : `${threads} threads`] : [];
  return {
    title: name === "comparison" && recipe === "cross_entropy" ? "Cross-entropy student" : titleOf(name),
    architecture: string(bag(found.architecture)?.name) || string(found.architecture),
    recipe,
    report: found,
    parameters: number(found.parameters),
    flops: number(found.flops),
    bytes: number(found.bytes),
    latencyMs: number(latency?.median_ms),
    latencyNote: note.filter(Boolean).join(", "),
    tokens: number(bag(found.preprocessing)?.max_length),
  };
}

/** What a column holds at `path` (keys joined by `/`). */
function at(column: Column, path: string): unknown {
  let found: unknown = column.report;
  for (const key of path.split("/")) found = bag(found)?.[key];
  return found;
}

/** A metric of a column, with its interval where it has one. */
export const figureAt = (column: Column | undefined, metric: Metric): Share | null => (column ? share(at(column, metric.path)) : null);

/** What stands beside a metric's title. */
export const noteOf = (column: Column, metric: Metric): string => metric.note.replace(/\{([^}]*)\}/g, (_: string, path: string) => String(at(column, path) ?? MISSING));

function textData(dataset: Bag | null): TextData | null {
  const truncated = bag(dataset?.truncated);
  if (!dataset || !truncated) return null;
  const used: Record<string, number> = { train: (number(dataset.train) ?? 0) + (number(dataset.validation) ?? 0), test: number(dataset.test) ?? 0 };
  return {
    duplicates: number(dataset.duplicates_between_splits) ?? 0,
    truncated: Object.entries(truncated).map(([split, cut]) => ({ split, cut: number(cut) ?? 0, of: used[split] ?? 0 })),
    maxLength: number(dataset.max_length),
  };
}

/** A value of a configuration, or a network with its options, in words. */
function told(value: unknown): string {
  const network = bag(value);
  if (network && typeof network.name === "string") {
    const options = Object.entries(bag(network.options) ?? {}).map(([name, option]) => `${name} ${String(option)}`);
    return [network.name, ...options].join(", ");
  }
  if (value === null || value === undefined) return "none";
  if (typeof value === "boolean") return value ? "yes" : "no";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function differing(verdict: Bag | null): Differing[] {
  const found = Array.isArray(verdict?.differences) ? verdict.differences : [];
  return found.map(bag).filter((each) => each !== null).map((each) => ({ field: string(each.field), ours: told(each.ours), theirs: told(each.theirs) }));
}

export function readResult(job: Pick<Job, "result">): Result | null {
  const found = bag(job.result);
  if (found === null) return null;
  const each = Array.isArray(found.teachers) && found.teachers.length > 1 ? found.teachers.map((one) => column(string(bag(one)?.label), one)) : [];
  const own = [...each, ...["teacher", "student", "comparison"].map((name) => column(name, found[name]))];
  const beside = Object.entries(bag(found.companions) ?? {}).map(([name, value]) => column(name, value));
  const columns = [...own, ...beside].filter((each) => each !== null);
  if (columns.length === 0) return null;
  const verdict = bag(found.verdict);
  const beats = verdict?.beats;
  return {
    columns,
    verdict: string(verdict?.text),
    beats: typeof beats === "boolean" ? beats : null,
    differences: differing(verdict),
    againstTeacher: share(found.against_teacher),
    ending: string(bag(found.training)?.ending),
    text: textData(bag(found.dataset)),
  };
}

export const studentOf = (result: Result | null): Column | undefined => result?.columns.find((each) => each.title === "Student");
export const teacherOf = (result: Result | null): Column | undefined => result?.columns.find((each) => each.title === "Teacher");
