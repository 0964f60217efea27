import type { ReactNode } from "react";

import type { DryRun } from "../api/types";
import { bytes, duration, words as spoken } from "../lib/format";
import { BudgetTable } from "./BudgetTable";
import { Facts } from "./Layout";
import { Warnings } from "./Warnings";

type Figure = DryRun["estimates"]["minutes"];

/** What a dry run found: the job would be accepted, what it would fetch, and what it will probably take. */
export function CheckedCard({ checked }: { checked: DryRun }) {
  const { memory_bytes, disk_bytes, minutes, notes } = checked.estimates;
  const figures: [string, Figure, (value: number) => string][] = [
    ["Time", minutes, (value) => duration(60 * value)],
    ["Memory", memory_bytes, bytes],
    ["Disk", disk_bytes, bytes],
  ];
  return (
    <div className="checked" role="status">
      <p>
        <b>This job would be accepted.</b> Nothing was queued.
      </p>
      <Warnings job={checked} />
      <Facts
        facts={[
          ["Student", <code>{checked.student.name}</code>],
          ["To fetch", bytes(checked.input_bytes)],
          ["Epochs", checked.config.epochs],
          ["Steps at most", checked.config.max_steps ?? ""],
          ...figures.map(([name, figure, words]): [string, ReactNode] => [name, figure && estimated(figure, words)]),
        ]}
      />
      {checked.student_budget && (
        <details open>
          <summary>What the budget buys</summary>
          <BudgetTable found={checked.student_budget} />
        </details>
      )}
      {checked.recipes && <Recipes found={checked.recipes} />}
      {figures.some(([, figure]) => figure) && (
        <details>
          <summary>What the estimates are based on</summary>
          <ul>
            {figures.map(([name, figure]) => figure && <li key={name}>{`${name}: ${figure.basis}.`}</li>)}
          </ul>
        </details>
      )}
      {notes.map((note) => (
        <p key={note} className="muted small">
          {note}
        </p>
      ))}
    </div>
  );
}

/** The recipes that the run will compare, and why the others are none of them. */
function Recipes({ found }: { found: NonNullable<DryRun["recipes"]> }) {
  const fitting = found.filter(({ fits }) => fits);
  const others = found.filter(({ fits }) => !fits);
  return (
    <details open>
      <summary>
        {fitting.length} {fitting.length === 1 ? "recipe fits" : "recipes are compared"}
      </summary>
      <p>{fitting.map(({ recipe }) => spoken(recipe)).join(", ")}</p>
      {others.length > 0 && (
        <ul>
          {others.map(({ recipe, reason }) => (
            <li key={recipe}>
              {spoken(recipe)}: {reason}
            </li>
          ))}
        </ul>
      )}
    </details>
  );
}

/** "about 12 min 30 s (8 min to 19 min)". */
export function estimated(figure: NonNullable<Figure>, words: (value: number) => string): string {
  return `about ${words(figure.value)} (${words(figure.low)} to ${words(figure.high)})`;
}
