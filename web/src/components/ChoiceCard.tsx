import type { Job } from "../api/types";
import { figure, MISSING, percent, words } from "../lib/format";
import { Card, Wide } from "./Layout";

interface Row {
  recipe: string;
  values: number[];
  note: string;
}

interface Choice {
  recipe: string;
  reason: string;
  metric: { label?: string; unit?: string };
  rungs: number[];
  table: Row[];
}

/** How the recipe of a job was chosen that left it open: every candidate after each round, and why. */
export function ChoiceCard({ job }: { job: Pick<Job, "choice"> }) {
  if (!job.choice) return null;
  const { recipe, reason, metric, rungs, table } = job.choice as unknown as Choice;
  const shown = (value: number | undefined): string => (value === undefined ? MISSING : metric.unit === "share" ? percent(value) : figure(value));
  return (
    <Card title="How the recipe was chosen">
      <p>{reason || "Recipes that fit teacher, data and task are compared on validation samples."}</p>
      <Wide label="Candidates">
        <table className="plain">
          <thead>
            <tr>
              <th scope="col">Recipe</th>
              {rungs.map((steps) => (
                <th key={steps} scope="col">
                  {metric.label ?? "value"} after {steps} steps
                </th>
              ))}
              <th scope="col">Note</th>
            </tr>
          </thead>
          <tbody>
            {table.map((row) => (
              <tr key={row.recipe}>
                <td>{row.recipe === recipe ? <b>{words(row.recipe)}</b> : words(row.recipe)}</td>
                {rungs.map((steps, at) => (
                  <td key={steps}>{shown(row.values[at])}</td>
                ))}
                <td>{row.recipe === recipe ? "chosen" : row.note}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Wide>
    </Card>
  );
}
