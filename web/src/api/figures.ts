/** What report.json holds by class, read out of an open object: nothing that is not found is shown. */
import { titleOf } from "./result";

export interface Figures {
  /** Titles of the networks, in order. */
  columns: string[];
  /** `values`: one a column, null where a class has no figure. */
  classes: { name: string; n: number; values: (number | null)[] }[];
}

type Bag = Record<string, unknown>;
const bag = (value: unknown): Bag => (typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Bag) : {});
const number = (value: unknown): number | null => (typeof value === "number" && Number.isFinite(value) ? value : null);

const NETWORKS = ["teacher", "student", "comparison"];

export function readFigures(report: unknown): Figures {
  const networks: [string, unknown][] = [...NETWORKS.map((name): [string, unknown] => [name, bag(report)[name]]), ...Object.entries(bag(bag(report).companions))];
  const known = networks.map(([name, column]) => ({ title: titleOf(name), byClass: bag(bag(column).per_class) })).filter(({ byClass }) => Object.keys(byClass).length > 0);
  const names = Object.keys(known[0]?.byClass ?? {});
  const cell = (column: Bag, name: string, key: string): number | null => number(bag(column[name])[key]);
  return {
    columns: known.map(({ title }) => title),
    classes: names.map((name) => ({ name, n: cell(known[0]!.byClass, name, "n") ?? 0, values: known.map(({ byClass }) => cell(byClass, name, "value")) })),
  };
}
