import type { Column, Result, Share, TextData } from "../api/result";
import type { Job } from "../api/types";
import { csv } from "../lib/csv";
import { save } from "../lib/download";
import { bare, bytes, count, figure, MISSING, percent, short, words } from "../lib/format";
import { studentFile } from "../lib/jobs";
import { Card } from "./Layout";
import { DownloadButton } from "./DownloadButton";
import { Prose } from "./Prose";

interface RowOf {
  name: string;
  /** Its name where the answers to instructions are predicted. */
  ofAnswers?: string;
  note?: string | ((column: Column) => string);
  value: (column: Column) => string;
  range?: (column: Column) => Share | null;
}

export const ROWS: RowOf[] = [
  { name: "Test accuracy", ofAnswers: "Next-token accuracy", value: (c) => percent(c.accuracy?.value), range: (c) => c.accuracy },
  { name: "Top-5 accuracy", value: (c) => percent(c.top5?.value), range: (c) => c.top5 },
  { name: "Agreement with the teacher", value: (c) => percent(c.agreement?.value), range: (c) => c.agreement },
  { name: "Test loss", value: (c) => figure(c.loss) },
  { name: "Parameters", value: (c) => short(c.parameters) },
  { name: "Perplexity", note: "of the answers", value: (c) => figure(c.perplexity) },
  { name: "ROUGE-L", note: "of greedy answers", value: (c) => figure(c.rougeL?.value), range: (c) => (c.rougeL?.n === undefined ? null : c.rougeL) },
  { name: "Generation", note: (c) => `${c.prompts ?? 1} prompts at a time`, value: (c) => (c.tokensPerSecond === null ? MISSING : `${figure(c.tokensPerSecond, 3)} tokens/s`) },
  { name: "FLOPs", note: (c) => `${c.one}, multiply-add = 2`, value: (c) => short(c.flops) },
  { name: "Size on disk", value: (c) => bytes(c.bytes) },
  { name: "Latency", note: (c) => `${c.one}, median`, value: (c) => (c.latencyMs === null ? MISSING : `${figure(c.latencyMs, 3)} ms`) },
];

/** Teacher, student and comparison side by side, and the verdict as the service put it. */
export function ResultCard({ job, result }: { job: Job; result: Result }) {
  const rows = ROWS.filter((row) => result.columns.some((column) => row.value(column) !== MISSING));
  const tone = result.beats === true ? "good" : result.beats === false ? "bad" : "quiet";
  return (
    <Card
      title="Result"
      className="result"
      aside={
        <>
          {"student" in job.links && <DownloadButton path={`/jobs/${job.id}/student`} name={studentFile(job)} label={studentFile(job)} primary />}
          <button type="button" className="button small" onClick={() => save(resultCsv(result), `result-${job.id}.csv`, "text/csv")}>
            CSV
          </button>
        </>
      }
    >
      {result.text && result.text.duplicates > 0 && (
        <p className="verdict tone-warn" role="note">
          {count(result.text.duplicates)} test texts are also among the training texts: scores on them flatter every model.
        </p>
      )}
      {result.verdict && (
        <p className={`verdict tone-${tone}`}>
          <Prose text={result.verdict} />
        </p>
      )}
      <div className="scroll" tabIndex={0} role="region" aria-label="Result">
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
                  {(result.text?.generates && row.ofAnswers) || row.name}
                  {row.note && <span className="muted small">{typeof row.note === "string" ? row.note : row.note(result.columns[0]!)}</span>}
                </th>
                {result.columns.map((column) => (
                  <td key={column.title} className={column.title === "Student" ? "mine" : undefined}>
                    {row.value(column)}
                    <Interval share={row.range?.(column) ?? null} />
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p className="muted small">
        Shares carry their 95 % interval on the untouched test set.
        {result.columns[0]?.latencyNote ? ` Latency on ${result.columns[0].latencyNote}.` : ""}
        {result.text ? ` ${cutWords(result.text)}` : ""}
      </p>
    </Card>
  );
}

/** What the networks did not see of the texts. */
function cutWords({ truncated, maxLength }: TextData): string {
  const cut = truncated.filter(({ cut }) => cut > 0).map(({ split, cut, of }) => `${count(cut)} of ${count(of)} ${split} texts (${percent(cut / of, 1)})`);
  return cut.length > 0 ? `Longer than max_length (${maxLength} tokens) and cut: ${cut.join(", ")}.` : `No text is longer than max_length (${maxLength} tokens).`;
}

function Interval({ share }: { share: Share | null }) {
  if (share?.n !== undefined && share.low === undefined) return <span className="muted small">n = {count(share.n)}</span>;
  if (!share || share.low === undefined || share.high === undefined) return null;
  const n = share.n === undefined ? "" : `, n = ${count(share.n)}`;
  return (
    <span className="muted small">
      {(100 * share.low).toFixed(1)} to {(100 * share.high).toFixed(1)}
      {n}
    </span>
  );
}

export function resultCsv(result: Result): string {
  const cells = (column: Column): (string | number | null)[] => [
    column.title,
    column.architecture,
    column.recipe,
    column.accuracy?.value ?? null,
    column.agreement?.value ?? null,
    column.loss,
    column.perplexity,
    column.rougeL?.value ?? null,
    column.tokensPerSecond,
    column.parameters,
    column.flops,
    column.bytes,
    column.latencyMs,
  ];
  return csv([["network", "architecture", "recipe", "accuracy", "agreement", "loss", "perplexity", "rouge_l", "tokens_per_second", "parameters", "flops", "bytes", "latency_ms"], ...result.columns.map(cells)]);
}
