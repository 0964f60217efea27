/** A student that is not named: by what it may cost, or cut out of its teacher. As typed, and as the service takes it. */
import type { Job, Task } from "../api/types";
import { ask, type Schema, typed } from "./schema";

export type StudentKind = "named" | "budget" | "pruned";

export interface StudentDraft {
  kind: StudentKind;
  /** Limits, threads and form, by the fields' names. */
  budget: Record<string, string>;
  families: string;
  /** Ratio, blocks, importance, ...; `teacher` where the job has none or several. */
  prune: Record<string, string>;
}

/** The fields of each kind, by the service's own description; empty where it has not the kind. */
export interface StudentSchemas {
  budget: Record<string, Schema>;
  families: Record<string, Schema>;
  prune: Record<string, Schema>;
}

export const NAMED_STUDENT: StudentDraft = { kind: "named", budget: {}, families: "", prune: {} };
export const NO_SCHEMAS: StudentSchemas = { budget: {}, families: {}, prune: {} };

/** What a student may be in a job of these tasks. */
export function kindsFor(schemas: StudentSchemas, tasks: Task[] | null): StudentKind[] {
  const prunes = tasks === null || tasks.some((task) => task.prunes);
  return ["named", ...(Object.keys(schemas.budget).length > 0 ? ["budget" as const] : []), ...(Object.keys(schemas.prune).length > 0 && prunes ? ["pruned" as const] : [])];
}

/** The request's student of a kind that has no name. `errors`: by JSON pointer, what is wrong with what was typed. */
export function unnamed({ kind, budget, families, prune }: StudentDraft, schemas: StudentSchemas, errors: Map<string, string>): object {
  if (kind === "pruned") return { prune: typed(prune, schemas.prune, "/student/prune", errors) };
  return { budget: typed(budget, schemas.budget, "/student/budget", errors), ...typed({ families }, schemas.families, "/student", errors) };
}

/** What is still to be said of it; empty where nothing is. */
export function lacking({ kind, budget, prune }: StudentDraft, schemas: StudentSchemas): string {
  if (kind === "pruned") return prune.ratio?.trim() || prune.blocks?.trim() ? "" : "the ratio or the blocks to prune by";
  const limited = Object.entries(schemas.budget).some(([name, schema]) => ask(schema).nullable && budget[name]?.trim());
  return kind === "named" || limited ? "" : "one limit of the budget";
}

/** As a job was asked for its student. */
export function askedOf(job: Pick<Job, "student" | "student_budget" | "student_weights">): StudentDraft {
  const { budget, families } = (job.student_budget ?? {}) as { budget?: Record<string, unknown>; families?: string[] | null };
  if (budget) return { ...NAMED_STUDENT, kind: "budget", budget: texts(budget), families: (families ?? []).join(", ") };
  const { prune_ratio: ratio, prune_blocks: blocks, round_to } = (job.student.options ?? {}) as Record<string, unknown>;
  if (ratio === undefined && blocks === undefined) return NAMED_STUDENT;
  const { teacher, importance } = (job.student_weights ?? {}) as { teacher?: string; importance?: string };
  return { ...NAMED_STUDENT, kind: "pruned", prune: texts({ ratio, blocks, round_to, importance, teacher }) };
}

const texts = (given: Record<string, unknown>): Record<string, string> =>
  Object.fromEntries(Object.entries(given).flatMap(([name, value]) => (value === null || value === undefined ? [] : [[name, String(value)]])));

/** A network that was counted for a budget. */
export interface Candidate {
  architecture: { name: string; options?: Record<string, unknown> };
  parameters: number;
  flops: number;
  bytes: number;
  latency_ms?: number;
  within?: string | null;
}

/** The smallest student, where a refusal of the service names one. */
export function smallestOf(details: Record<string, unknown> | undefined): Candidate | undefined {
  const found = details?.smallest;
  return typeof found === "object" && found !== null && "architecture" in found ? (found as Candidate) : undefined;
}

/** The budget with each limit that this network exceeds raised to what it costs. */
export function raised(budget: Record<string, string>, to: Candidate): Record<string, string> {
  const costs = to as unknown as Record<string, number | undefined>;
  const higher = Object.entries(budget).filter(([name, text]) => text.trim() !== "" && (costs[name] ?? 0) > Number(text));
  return { ...budget, ...Object.fromEntries(higher.map(([name]) => [name, name === "latency_ms" ? String(Math.ceil(costs[name]! * 100) / 100) : String(costs[name])])) };
}
