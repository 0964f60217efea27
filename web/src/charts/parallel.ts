/** Parallel coordinates: one axis a parameter or objective, one line a configuration. */
import type { StudyRow, StudyTable } from "../api/types";
import { plain } from "../lib/studies";

export interface Axis {
  key: string;
  /** 0 at the low end of the axis, 1 at the high end; undefined of a configuration that has no value there. */
  at: (row: StudyRow) => number | undefined;
  /** What stands at a place from 0 to 1. */
  told: (place: number) => string;
  ticks: { place: number; label: string }[];
}

/** Axis -> the part of it, from 0 to 1, whose configurations are kept. */
export type Brushes = Readonly<Record<string, readonly [number, number]>>;

type Space = Record<string, { log?: boolean | null } | unknown>;
const COSTS = ["bytes", "latency_ms"];

/** Places of the space in their order, then objectives and costs that any configuration has a value of. Of places that
 * the base job's configuration does not name, that configuration has none. */
export function axesOf(table: StudyTable, space: Space): Axis[] {
  const figures = [...new Set([...table.objectives.map(({ name }) => name), ...COSTS])];
  const places = Object.keys(space).map((pointer) => axis(pointer, table.rows, (row) => row.assignment[pointer], isLog(space[pointer])));
  const costs = figures.map((name) => axis(name, table.rows, (row) => row.values[name]?.mean, false));
  return [...places, ...costs].filter((found): found is Axis => found !== undefined);
}

const isLog = (domain: unknown): boolean => typeof domain === "object" && domain !== null && (domain as { log?: unknown }).log === true;

function axis(key: string, rows: readonly StudyRow[], value: (row: StudyRow) => unknown, log: boolean): Axis | undefined {
  const values = rows.map(value).filter((each) => each !== undefined && each !== null);
  if (values.length === 0) return undefined;
  return values.every((each) => typeof each === "number" && Number.isFinite(each)) ? numbers(key, values as number[], value, log) : choices(key, values, value);
}

function numbers(key: string, values: number[], value: (row: StudyRow) => unknown, log: boolean): Axis {
  const even = log && values.every((each) => each > 0);
  const scale = even ? Math.log : (each: number): number => each;
  const back = even ? Math.exp : (each: number): number => each;
  const [low, high] = [scale(Math.min(...values)), scale(Math.max(...values))];
  const place = (each: number): number => (high > low ? (scale(each) - low) / (high - low) : 0.5);
  const told = (at: number): string => plain(back(low + at * (high - low)));
  return {
    key,
    at: (row) => {
      const found = value(row);
      return typeof found === "number" ? place(found) : undefined;
    },
    told,
    ticks: high > low ? [0, 0.5, 1].map((at) => ({ place: at, label: told(at) })) : [{ place: 0.5, label: plain(values[0]) }],
  };
}

function choices(key: string, values: unknown[], value: (row: StudyRow) => unknown): Axis {
  const labels = [...new Set(values.map(plain))];
  const place = (at: number): number => (labels.length > 1 ? at / (labels.length - 1) : 0.5);
  return {
    key,
    at: (row) => {
      const found = value(row);
      const number = found === undefined || found === null ? -1 : labels.indexOf(plain(found));
      return number < 0 ? undefined : place(number);
    },
    told: (at) => labels[Math.round(at * (labels.length - 1))] ?? "",
    ticks: labels.map((label, number) => ({ place: place(number), label })),
  };
}

/** Whether a configuration is within every brush; one without a value on a brushed axis is not. */
export const kept = (row: StudyRow, axes: readonly Axis[], brushes: Brushes): boolean =>
  axes.every((each) => {
    const brush = brushes[each.key];
    if (!brush) return true;
    const at = each.at(row);
    return at !== undefined && at >= brush[0] - 1e-9 && at <= brush[1] + 1e-9;
  });

/** With an axis's brush set, or taken away where it covers all of the axis or nothing. */
export function brushed(brushes: Brushes, key: string, one: number, other: number): Brushes {
  const [low, high] = [Math.max(0, Math.min(one, other)), Math.min(1, Math.max(one, other))];
  const { [key]: _gone, ...others } = brushes;
  return (low <= 0 && high >= 1) || high - low < 0.01 ? others : { ...others, [key]: [low, high] };
}
