/** What the pages of studies say in words. */
import type { Study, StudyRow } from "../api/types";
import { figure, options } from "./format";

export const studyTitle = (study: Pick<Study, "id" | "name">): string => study.name || study.id;

/** `/config/learning_rate` -> `learning_rate`. */
export const placeName = (pointer: string): string => (pointer.split("/").pop() ?? pointer).replaceAll("~1", "/").replaceAll("~0", "~");

/** A value for people; a network by its name and options, everything else that has parts as JSON. */
export function plain(value: unknown): string {
  if (typeof value === "number") return figure(value);
  if (typeof value === "string") return value;
  const { name, options: given } = (value ?? {}) as { name?: unknown; options?: unknown };
  if (typeof name !== "string" || typeof given !== "object" || given === null) return JSON.stringify(value);
  const said = options(given as Record<string, unknown>);
  return said ? `${name} (${said})` : name;
}

export const assigned = (assignment: Record<string, unknown>): string =>
  Object.entries(assignment)
    .map(([pointer, value]) => `${placeName(pointer)} ${plain(value)}`)
    .join(", ");

export const configuration = (row: Pick<StudyRow, "configuration">): string => (row.configuration === 0 ? "Base job" : String(row.configuration));

export const seeds = (n: number): string => `${n} ${n === 1 ? "seed" : "seeds"}`;

export function spread(found: { mean: number; sd: number | null; n: number } | undefined): string {
  if (!found) return "–";
  return `${figure(found.mean)}${found.sd === null ? "" : ` ± ${figure(found.sd, 2)}`} (${found.n})`;
}

export function difference(found: StudyRow["difference"]): string {
  if (!found) return "";
  const sign = (value: number): string => (value > 0 ? "+" : "") + figure(value, 3);
  const span = found.low === null || found.high === null ? "" : ` (${sign(found.low)} to ${sign(found.high)})`;
  return `${sign(found.mean)}${span}: ${found.verdict}`;
}

export type Order = { by: string; down: boolean };

/** Rows by a column: `configuration`, `difference`, or a figure. Rows without a value come last, whichever way. */
export function sorted(rows: readonly StudyRow[], { by, down }: Order): StudyRow[] {
  const value = (row: StudyRow): number | undefined => {
    if (by === "configuration") return row.configuration;
    return by === "difference" ? row.difference?.mean : row.values[by]?.mean;
  };
  return [...rows].sort((one, other) => {
    const [a, b] = [value(one), value(other)];
    if (a === undefined || b === undefined) return Number(a === undefined) - Number(b === undefined);
    return (down ? b - a : a - b) || one.configuration - other.configuration;
  });
}

/** How far it has come, of what the budget allows. */
export function progress(study: Study): string {
  const { counts, budget } = study;
  const ended = (counts.succeeded ?? 0) + (counts.pruned ?? 0) + (counts.failed ?? 0) + (counts.cancelled ?? 0);
  const of = typeof budget.trials === "number" ? ` of ${budget.trials}` : "";
  return `${ended}${of} trials${counts.active ? `, ${counts.active} active` : ""}`;
}
