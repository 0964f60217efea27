import { useMemo, useState } from "react";

import { type Mark, type Series, TimeChart } from "../charts/TimeChart";
import { csv } from "../lib/csv";
import { save } from "../lib/download";
import { words } from "../lib/format";
import { progressOf } from "../lib/jobs";
import { capital, named } from "../lib/tasks";
import { useTasks } from "../hooks/useTasks";
import type { Job, Metric } from "../api/types";
import type { Columns, History } from "../live/history";
import { Card } from "./Layout";

const RATE = "learning_rate";
const LOSS = "loss";

/** Loss parts, the task's metrics and learning rate over steps. */
export function TrainingCharts({ job, history, version }: { job: Job; history: History; version: number }) {
  const [log, setLog] = useState(false);
  const train = history.metrics.get("train");
  const validation = history.metrics.get("validation");
  const metrics = named(useTasks(), job.task)?.metrics ?? NO_METRICS;
  const shares = metrics.filter(({ unit }) => unit === "share");
  const merged = useMemo(() => merge(train, validation, shares), [train, validation, metrics, version]);
  const losses = pick(train, (name) => !metrics.some((metric) => metric.name === name && name !== LOSS) && name !== RATE);
  const rates = pick(train, (name) => name === RATE);
  const others = measured(validation, metrics);
  const marks: Mark[] = history.attemptStarts.map(({ attempt, step }) => ({ x: step, label: `attempt ${attempt}` }));
  if (!train && !validation) return history.trimmed && trained(job) ? <Gone /> : null;
  return (
    <Card
      title="Training"
      aside={
        <>
          <label className="check">
            <input type="checkbox" checked={log} onChange={(event) => setLog(event.target.checked)} /> logarithmic loss
          </label>
          <button type="button" className="button small" onClick={() => save(metricsCsv(history), "metrics.csv", "text/csv")}>
            CSV
          </button>
        </>
      }
    >
      <div className="charts">
        {train && <TimeChart title="Loss" x={train.step} series={losses} marks={marks} log={log} version={version} />}
        {shares.length > 0 && merged.series.length > 0 && <TimeChart title={capital(shares[0]!.label)} x={merged.step} series={merged.series} marks={marks} percent version={version} />}
        {validation && others.map((series) => <TimeChart key={series.name} title={`${capital(series.name)}, in validation`} x={validation.step} series={[series]} marks={marks} version={version} />)}
        {train && rates.length > 0 && <TimeChart title="Learning rate" x={train.step} series={rates} marks={marks} version={version} />}
      </div>
      <p className="muted small hint">Drag across a chart to look closer, double-click to see all.</p>
    </Card>
  );
}

const trained = (job: Job): boolean => job.status === "succeeded" || (progressOf(job.progress).step ?? 0) > 0;

function Gone() {
  return (
    <Card title="Training">
      <p className="none">The figures of the single steps are no longer kept: this service removes them some time after a job has ended.</p>
    </Card>
  );
}

const NO_METRICS: Metric[] = [];

/** The metrics on a scale of their own, on validation samples: neither shares nor the loss. */
export const measured = (validation: Columns | undefined, metrics: Metric[]): Series[] =>
  metrics
    .filter(({ name, unit }) => unit !== "share" && name !== LOSS && validation?.values.has(name))
    .map(({ name, label }) => ({ name: label, values: validation?.values.get(name) ?? [] }));

function pick(columns: Columns | undefined, wanted: (name: string) => boolean): Series[] {
  const names = [...(columns?.values.keys() ?? [])].filter(wanted);
  names.sort((a, b) => Number(b === LOSS) - Number(a === LOSS));
  return names.map((name) => ({ name: words(name), values: columns?.values.get(name) ?? [] }));
}

/** The task's shares in training and in validation on one axis of steps. */
export function merge(train: Columns | undefined, validation: Columns | undefined, shares: Pick<Metric, "name" | "label">[]): { step: number[]; series: Series[] } {
  const step = union(train?.step ?? [], validation?.step ?? []);
  const spread = (columns: Columns, name: string): (number | null)[] => {
    const column = columns.values.get(name) ?? [];
    let next = 0;
    return step.map((each) => {
      if (columns.step[next] !== each) return null;
      next += 1;
      return column[next - 1] ?? null;
    });
  };
  const series: Series[] = [];
  for (const [split, columns] of [["validation", validation], ["training", train]] as const) {
    for (const { name, label } of shares) {
      if (columns?.values.has(name)) series.push({ name: `${split} ${label}`, values: spread(columns, name), points: split === "validation", dash: split === "training" ? [5, 4] : undefined });
    }
  }
  return { step, series };
}

/** Of two ascending lists, in one pass: this runs whenever new metrics are drawn. */
function union(first: number[], second: number[]): number[] {
  const all: number[] = [];
  for (let i = 0, j = 0; i < first.length || j < second.length; ) {
    const a = first[i] ?? Infinity;
    const b = second[j] ?? Infinity;
    all.push(Math.min(a, b));
    if (a <= b) i += 1;
    if (b <= a) j += 1;
  }
  return all;
}

export function metricsCsv(history: History): string {
  const names = [...new Set([...history.metrics.values()].flatMap((columns) => [...columns.values.keys()]))];
  const rows = [...history.metrics].flatMap(([split, columns]) => columns.step.map((step, at) => [split, step, ...names.map((name) => columns.values.get(name)?.[at] ?? null)]));
  return csv([["split", "step", ...names], ...rows]);
}
