import { type Column, type Differing, figureAt, noteOf, type Result, type Share, type TextData } from "../api/result";
import type { Job, Metric } from "../api/types";
import { useTasks } from "../hooks/useTasks";
import { csv } from "../lib/csv";
import { save } from "../lib/download";
import { bare, bytes, count, figure, MISSING, percent, short, words } from "../lib/format";
import { capital, named, samplesOf, shown, studentFile } from "../lib/tasks";
import { Card, Wide } from "./Layout";
import { DownloadButton } from "./DownloadButton";
import { Prose } from "./Prose";

interface RowOf {
  name: string;
  note?: (column: Column) => string;
  value: (column: Column) => string;
  range?: (column: Column) => Share | null;
  /** An end of `range` in figures. */
  bound?: (value: number) => string;
}

/** The task's metrics, then what every network costs. `sample`: what costs are told for. */
const rowsOf = (metrics: Metric[], sample?: string): RowOf[] => [...metrics.map(metricRow), ...costRows(sample)];

export function metricRow(metric: Metric): RowOf {
  const found = (column: Column): Share | null => figureAt(column, metric);
  return { name: capital(metric.label), note: metric.note ? (column) => noteOf(column, metric) : undefined, value: (column) => shown(metric, found(column)?.value), range: found, bound: metric.unit === "share" ? (value) => (100 * value).toFixed(1) : figure };
}

export function costRows(sample = "sample"): RowOf[] {
  const one = ({ tokens }: Column): string => `one ${sample}${tokens === null ? "" : ` of ${tokens} tokens`}`;
  return [
    { name: "Parameters", value: (c) => short(c.parameters) },
    { name: "FLOPs", note: (c) => `${one(c)}, multiply-add = 2`, value: (c) => short(c.flops) },
    { name: "Size on disk", value: (c) => bytes(c.bytes) },
    { name: "Latency", note: (c) => `${one(c)}, median`, value: (c) => (c.latencyMs === null ? MISSING : `${figure(c.latencyMs, 3)} ms`) },
  ];
}

/** Teacher, student and comparison side by side, and the verdict as the service put it. */
export function ResultCard({ job, result }: { job: Job; result: Result }) {
  const tasks = useTasks();
  const task = named(tasks, job.task);
  const metrics = task?.metrics ?? [];
  const rows = rowsOf(metrics, task?.sample).filter((row) => result.columns.some((column) => row.value(column) !== MISSING));
  const tone = result.beats === true ? "good" : result.beats === false ? "bad" : "quiet";
  return (
    <Card
      title="Result"
      className="result"
      aside={
        <>
          {"student" in job.links && <DownloadButton path={`/jobs/${job.id}/student`} name={studentFile(tasks, job)} label={studentFile(tasks, job)} primary />}
          <button type="button" className="button small" onClick={() => save(resultCsv(result, metrics), `result-${job.id}.csv`, "text/csv")}>
            CSV
          </button>
        </>
      }
    >
      {result.text && result.text.duplicates > 0 && (
        <p className="verdict tone-warn" role="note">
          {count(result.text.duplicates)} test {samplesOf(task)} are also among the training {samplesOf(task)}: scores on them flatter every model.
        </p>
      )}
      {result.verdict && (
        <p className={`verdict tone-${tone}`}>
          <Prose text={result.verdict} />
        </p>
      )}
      {result.differences.length > 0 && <Differences found={result.differences} />}
      <Wide label="Result">
        <table className="plain results">
          <thead>
            <tr>
              <td />
              {result.columns.map((column) => (
                <th key={column.title} scope="col" className={column.title === "Student" ? "mine" : undefined}>
                  {column.title}
                  <span className="muted small">
                    {bare(column.architecture)}
                    {column.recipe && column.title === "Student" ? `, ${words(column.recipe)}` : ""}
                  </span>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row.name}>
                <th scope="row">
                  {row.name}
                  {row.note && <span className="muted small">{row.note(result.columns[0]!)}</span>}
                </th>
                {result.columns.map((column) => (
                  <td key={column.title} className={column.title === "Student" ? "mine" : undefined}>
                    {row.value(column)}
                    <Interval share={row.range?.(column) ?? null} bound={row.bound ?? figure} />
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </Wide>
      <p className="muted small">
        Ranges are 95 % intervals on the untouched test set.
        {result.columns[0]?.latencyNote ? ` Latency on ${result.columns[0].latencyNote}.` : ""}
        {result.text ? ` ${cutWords(result.text, samplesOf(task))}` : ""}
      </p>
    </Card>
  );
}

/** What keeps the comparison from being one of like with like, setting by setting. */
function Differences({ found }: { found: Differing[] }) {
  return (
    <Wide label="How the comparison differs">
      <table className="plain differences">
        <caption className="small">How the comparison differs</caption>
        <thead>
          <tr>
            <th scope="col">Setting</th>
            <th scope="col">Student</th>
            <th scope="col">Comparison</th>
          </tr>
        </thead>
        <tbody>
          {found.map(({ field, ours, theirs }) => (
            <tr key={field}>
              <th scope="row">{words(field)}</th>
              <td>{ours}</td>
              <td>{theirs}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Wide>
  );
}

/** What the networks did not see of the samples. */
function cutWords({ truncated, maxLength }: TextData, samples: string): string {
  const cut = truncated.filter(({ cut }) => cut > 0).map(({ split, cut, of }) => `${count(cut)} of ${count(of)} ${split} ${samples} (${percent(cut / of, 1)})`);
  return cut.length > 0 ? `Longer than max_length (${maxLength} tokens) and cut: ${cut.join(", ")}.` : `None of the ${samples} is longer than max_length (${maxLength} tokens).`;
}

function Interval({ share, bound }: { share: Share | null; bound: (value: number) => string }) {
  if (share?.n !== undefined && share.low === undefined) return <span className="muted small">n = {count(share.n)}</span>;
  if (!share || share.low === undefined || share.high === undefined) return null;
  const n = share.n === undefined ? "" : `, n = ${count(share.n)}`;
  return (
    <span className="muted small">
      {bound(share.low)} to {bound(share.high)}
      {n}
    </span>
  );
}

export function resultCsv(result: Result, metrics: Metric[]): string {
  const cells = (column: Column): (string | number | null)[] => [
    column.title,
    column.architecture,
    column.recipe,
    ...metrics.map((metric) => figureAt(column, metric)?.value ?? null),
    column.parameters,
    column.flops,
    column.bytes,
    column.latencyMs,
  ];
  return csv([["network", "architecture", "recipe", ...metrics.map(({ name }) => name), "parameters", "flops", "bytes", "latency_ms"], ...result.columns.map(cells)]);
}
