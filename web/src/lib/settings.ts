import type { Job } from "../api/types";

export interface Setting {
  name: string;
  value: unknown;
  /** What was asked for, where the run made something else of it. */
  asked?: unknown;
  reason: string;
}

type Bag = Record<string, unknown>;

/** Every setting of a job, resolved where it has been, with the student's own. */
export function settings(job: Pick<Job, "config" | "resolved" | "student">): Setting[] {
  const asked = job.config as unknown as Bag;
  const resolved = (job.resolved?.config ?? {}) as Bag;
  const reasons = (job.resolved?.reasons ?? {}) as Record<string, string>;
  const names = [...new Set([...Object.keys(asked), ...Object.keys(resolved), ...Object.keys(reasons)])];
  const rows = names.map((name): Setting => {
    const value = name in resolved ? resolved[name] : asked[name];
    const changed = name in asked && shownValue(value) !== shownValue(asked[name]);
    return { name, value, asked: changed ? asked[name] : undefined, reason: reasons[name] ?? "" };
  });
  return [{ name: "student", value: job.student.name, reason: "" }, { name: "student options", value: job.student.options ?? {}, reason: "" }, ...rows];
}

export function shownValue(value: unknown): string {
  if (value === undefined) return "–";
  if (value === null) return "none";
  if (typeof value === "object" && Object.keys(value).length === 0) return "–";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
