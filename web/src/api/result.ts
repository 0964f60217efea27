/** `Job.result` is an open object in OpenAPI; this reads out of it what the page shows, and nothing it does not find. */
import type { Job } from "./types";

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
  accuracy: Share | null;
  top5: Share | null;
  agreement: Share | null;
  loss: number | null;
  /** Of the answers, for decoders that follow instructions. */
  perplexity: number | null;
  rougeL: Share | null;
  tokensPerSecond: number | null;
  /** How many prompts were answered at a time. */
  prompts: number | null;
  parameters: number | null;
  flops: number | null;
  bytes: number | null;
  latencyMs: number | null;
  latencyNote: string;
  /** What costs are told for: "one image", or a text of so many tokens. */
  one: string;
}

/** What a job on texts says of its data. */
export interface TextData {
  /** Whether answers are predicted, token by token. */
  generates: boolean;
  duplicates: number;
  truncated: { split: string; cut: number; of: number }[];
  maxLength: number | null;
}

export interface Result {
  columns: Column[];
  verdict: string;
  beats: boolean | null;
  againstTeacher: Share | null;
  ending: string;
  /** Null for images. */
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

const TITLES: Record<string, string> = { teacher: "Teacher", student: "Student", comparison: "Comparison" };

function column(name: string, value: unknown): Column | null {
  const found = bag(value);
  if (found === null) return null;
  const recipe = string(found.recipe);
  const latency = bag(found.latency);
  const threads = number(latency?.threads);
  const note = latency ? [string(latency.device), string(latency.dtype), threads === null ? "" : `${threads} threads`] : [];
  return {
    title: name === "comparison" && recipe === "cross_entropy" ? "Cross-entropy student" : (TITLES[name] ?? name),
    architecture: string(bag(found.architecture)?.name) || string(found.architecture),
    recipe,
    accuracy: share(found.accuracy),
    top5: share(found.top5),
    agreement: share(found.agreement),
    loss: number(found.loss),
    perplexity: number(found.perplexity),
    rougeL: share(found.rouge_l),
    tokensPerSecond: number(bag(found.generation)?.tokens_per_second),
    prompts: number(bag(found.generation)?.batch_size),
    parameters: number(found.parameters),
    flops: number(found.flops),
    bytes: number(found.bytes),
    latencyMs: number(latency?.median_ms),
    latencyNote: note.filter(Boolean).join(", "),
    one: one(number(bag(found.preprocessing)?.max_length)),
  };
}

const one = (tokens: number | null): string => (tokens === null ? "one image" : `one text of ${tokens} tokens`);

function textData(dataset: Bag | null): TextData | null {
  const truncated = bag(dataset?.truncated);
  if (!dataset || !truncated) return null;
  const used: Record<string, number> = { train: (number(dataset.train) ?? 0) + (number(dataset.validation) ?? 0), test: number(dataset.test) ?? 0 };
  return {
    generates: dataset.kind === "generate",
    duplicates: number(dataset.duplicates_between_splits) ?? 0,
    truncated: Object.entries(truncated).map(([split, cut]) => ({ split, cut: number(cut) ?? 0, of: used[split] ?? 0 })),
    maxLength: number(dataset.max_length),
  };
}

export function readResult(job: Pick<Job, "result">): Result | null {
  const found = bag(job.result);
  if (found === null) return null;
  const columns = ["teacher", "student", "comparison"].map((name) => column(name, found[name])).filter((each) => each !== null);
  if (columns.length === 0) return null;
  const verdict = bag(found.verdict);
  const beats = verdict?.beats;
  return {
    columns,
    verdict: string(verdict?.text),
    beats: typeof beats === "boolean" ? beats : null,
    againstTeacher: share(found.against_teacher),
    ending: string(bag(found.training)?.ending),
    text: textData(bag(found.dataset)),
  };
}

export const studentOf = (result: Result | null): Column | undefined => result?.columns.find((each) => each.title === "Student");
export const teacherOf = (result: Result | null): Column | undefined => result?.columns.find((each) => each.title === "Teacher");
