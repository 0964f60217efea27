import { useEffect, useState } from "react";

import { readAnswer } from "../api/answer";
import { api, unwrap } from "../api/client";
import { asProblem, type ProblemError } from "../api/problem";
import type { Disagreement, DisagreementPage, Job } from "../api/types";
import { usePicture } from "../hooks/usePicture";
import { usePoll } from "../hooks/usePoll";
import { count, figure } from "../lib/format";
import { AnswerView } from "./AnswerView";
import { Card } from "./Layout";
import { Problem } from "./Problem";

const PAGE = 12;
/** A tile smaller than this is enlarged, so that a digit of 8 pixels is seen. */
const LEAST = 96;

/** The test samples on which student and teacher differ most, whatever the labels say. */
export function Disagreements({ job }: { job: Job }) {
  return job.status === "succeeded" && job.teacher && "disagreements" in job.links ? <Ranking job={job} /> : null;
}

function Ranking({ job }: { job: Job }) {
  const { data, problem, reload } = usePoll(`disagreements ${job.id}`, () => load(job.id));
  const [more, setMore] = useState<DisagreementPage[]>([]);
  const [failure, setFailure] = useState<ProblemError | null>(null);
  const picture = usePicture(data?.sheet?.href ?? null);
  useEffect(() => setMore([]), [job.id]);
  if (problem?.problem.status === 404) return null; // runs before there were such lists, teachers of other classes
  if (!data) return problem ? <Problem error={problem} onRetry={reload} /> : null;
  const items = [data, ...more].flatMap((page) => page.items);
  const next = (more.at(-1) ?? data).next_cursor;

  async function show(cursor: string): Promise<void> {
    try {
      const page = await load(job.id, cursor);
      setMore((old) => [...old, page]);
      setFailure(null);
    } catch (error) {
      setFailure(asProblem(error));
    }
  }

  return (
    <Card title="Where student and teacher differ" aside={<span className="muted">{count(data.samples)} test samples, the furthest apart first</span>}>
      {items.length === 0 ? (
        <p>They give the same answers to all of them.</p>
      ) : (
        <ol className="apart">
          {items.map((item) => (
            <li key={item.rank}>
              <Sample item={item} page={data} picture={picture} />
            </li>
          ))}
        </ol>
      )}
      {failure && <Problem error={failure} />}
      {next && (
        <button type="button" className="button small" onClick={() => void show(next)}>
          Show more
        </button>
      )}
      <p className="muted small">{data.definition} Labels play no part in the order.</p>
    </Card>
  );
}

const load = (id: string, cursor?: string): Promise<DisagreementPage> => unwrap(api.GET("/jobs/{job_id}/disagreements", { params: { path: { job_id: id }, query: { limit: PAGE, cursor } } }));

function Sample({ item, page, picture }: { item: Disagreement; page: DisagreementPage; picture: string | null }) {
  const rows: [string, unknown][] = [["Label", item.label], ["Student", item.student], ["Teacher", item.teacher]];
  return (
    <>
      <p className="row wrap small">
        <b>{item.rank}</b> <code>{item.name ?? `test sample ${item.sample}`}</code> <span className="muted">{figure(item.score, 3)}</span>
      </p>
      {picture && item.tile && page.sheet && <Tile item={item} sheet={page.sheet} picture={picture} />}
      {item.text && <p className="quoted">{item.text}</p>}
      {item.second && <p className="quoted second">{item.second}</p>}
      <dl className="said">
        {rows
          .filter(([, answer]) => readAnswer(answer).kind !== "none")
          .map(([name, answer]) => (
            <div key={name}>
              <dt className="small muted">{name}</dt>
              <dd>
                <AnswerView answer={answer} label={name} />
              </dd>
            </div>
          ))}
      </dl>
    </>
  );
}

/** A sample's picture cut out of the sheet; boxes of the student dashed, of the teacher whole. */
function Tile({ item, sheet, picture }: { item: Disagreement; sheet: NonNullable<DisagreementPage["sheet"]>; picture: string }) {
  const { x, y, width, height } = item.tile!;
  const scale = Math.max(1, Math.ceil(LEAST / height));
  const across = item.size ? [width / item.size[0]!, height / item.size[1]!] : null;
  return (
    <svg viewBox={`${x} ${y} ${width} ${height}`} style={{ width: width * scale, imageRendering: scale > 1 ? "pixelated" : undefined }} role="img" aria-label={`Test sample ${item.sample}`}>
      <image href={picture} x={0} y={0} width={sheet.width} height={sheet.height} />
      {across &&
        (["teacher", "student"] as const).map((who) => {
          const found = readAnswer(item[who]);
          return found.kind !== "boxes"
            ? null
            : found.boxes.map(({ label, corners: [x1, y1, x2, y2], colour }, at) => (
                <rect key={`${who} ${at}`} className="box" x={x + x1 * across[0]!} y={y + y1 * across[1]!} width={(x2 - x1) * across[0]!} height={(y2 - y1) * across[1]!} stroke={colour} strokeDasharray={who === "student" ? "4 3" : undefined}>
                  <title>
                    {who}: {label}
                  </title>
                </rect>
              ));
        })}
    </svg>
  );
}
