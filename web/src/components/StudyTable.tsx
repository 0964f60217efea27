import { useState } from "react";

import type { StudyTable as Table } from "../api/types";
import { assigned, configuration, difference, type Order, sorted, spread } from "../lib/studies";
import { DownloadButton } from "./DownloadButton";
import { Card, Wide } from "./Layout";

const COSTS = ["bytes", "latency_ms"];

/** Configurations, sorted by any column; intervals and words beside every difference. */
export function StudyTable({ table, path }: { table: Table; path: string }) {
  const first = table.objectives[0];
  const figures = [...new Set([...table.objectives.map(({ name }) => name), ...COSTS])];
  const [order, setOrder] = useState<Order>({ by: first?.name ?? "configuration", down: first?.direction !== "minimize" });
  const turn = (by: string): void => setOrder((old) => ({ by, down: old.by === by ? !old.down : true }));
  const columns: [string, string][] = [["configuration", "Configuration"], ...figures.map((name): [string, string] => [name, name]), ["difference", "Against the base job"]];
  return (
    <Card
      title="Configurations"
      aside={
        <>
          <DownloadButton path={`${path}?format=csv`} name="table.csv" label="CSV" />
          <DownloadButton path={`${path}?format=markdown`} name="table.md" label="Markdown" />
        </>
      }
    >
      <Wide label="Table of configurations">
        <table>
          <thead>
            <tr>
              {columns.map(([by, name]) => (
                <th key={by} scope="col" aria-sort={order.by === by ? (order.down ? "descending" : "ascending") : "none"}>
                  <button type="button" className="button ghost small" onClick={() => turn(by)}>
                    {name}
                    {order.by === by && <span aria-hidden="true">{order.down ? " ↓" : " ↑"}</span>}
                  </button>
                </th>
              ))}
              <th scope="col">Trials</th>
            </tr>
          </thead>
          <tbody>
            {sorted(table.rows, order).map((row) => (
              <tr key={row.configuration}>
                <td>
                  <b>{configuration(row)}</b> <span className="muted">{assigned(row.assignment)}</span>
                </td>
                {figures.map((name) => (
                  <td key={name}>{spread(row.values[name])}</td>
                ))}
                <td>{difference(row.difference)}</td>
                <td>{runs(row.runs)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Wide>
      <p className="none">
        Mean ± deviation (seeds) on validation samples.
        {table.comparisons > 0 && ` Intervals of all ${table.comparisons} differences hold together with 95 % (Bonferroni).`}
      </p>
    </Card>
  );
}

function runs(counts: Record<string, number>): string {
  const others = ["active", "pruned", "diverged", "at_chance", "cancelled"].filter((name) => counts[name]);
  const failed = (counts.failed ?? 0) - (counts.diverged ?? 0) - (counts.at_chance ?? 0);
  const said = [...others.map((name) => `${counts[name]} ${name.replace("_", " ")}`), ...(failed > 0 ? [`${failed} failed`] : [])];
  return [String(counts.trials ?? 0), ...(said.length ? [`(${said.join(", ")})`] : [])].join(" ");
}
