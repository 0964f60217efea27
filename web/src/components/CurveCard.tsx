import { useRef, useState } from "react";

import { text } from "../api/client";
import { loadCurve } from "../api/curve";
import { type Curve, type CurvePoint, isActive, type Job } from "../api/types";
import { QCurve } from "../charts/QCurve";
import { saveSvg, savePng } from "../charts/exporting";
import { usePoll } from "../hooks/usePoll";
import { save } from "../lib/download";
import { count, figure } from "../lib/format";
import { title } from "../lib/jobs";
import { type History, ofTeacher, restored } from "../live/history";
import type { Kept } from "../hooks/useKeptCurve";
import { Card, Heads, Loading, Wide } from "./Layout";
import { Problem } from "./Problem";
import { Prose } from "./Prose";
import { useTry } from "./Toasts";

interface Props {
  job: Job;
  history: History;
  /** Which of several teachers the curve is of, and what each is called. */
  place?: number;
  /** Whether the curve of an ended job is still being asked for, where its events do not tell it. */
  kept?: Kept;
}

/** The Q curves of a job's teachers: of one alone its card, of several one after the other. */
export function CurveCards({ job, history, names, kept }: Omit<Props, "place"> & { names: Map<string, string> }) {
  const teachers = job.teachers ?? [];
  if (teachers.length < 2) return <CurveCard job={job} history={history} kept={kept} />;
  return teachers.map((id, place) => <FurtherCurve key={id} job={job} history={history} place={place} title={`Q curve of ${names.get(id) ?? id}`} kept={kept} />);
}

/** The curve of one of several teachers; an ended job's outlives its events. */
function FurtherCurve({ job, history, place, title: heading, kept }: Props & { place: number; title: string }) {
  const told = ofTeacher(history, place);
  const missing = place > 0 && !isActive(job.status) && told.layers.length === 0;
  const { data } = usePoll(`kept curve ${job.id} ${place} ${missing}`, () => (missing ? loadCurve(job.id, place).catch(() => null) : Promise.resolve(null)));
  const own = { selection: (job.selections?.[place] ?? null) as Job["selection"] };
  return <CurveCard job={job} history={missing ? restored(told, own, data ?? null) : told} place={place} heading={heading} kept={place === 0 ? kept : undefined} />;
}

/** The Q curve as it fills, what it says in words, and its ways out. */
export function CurveCard({ job, history, place = 0, heading = "Q curve", kept }: Props & { heading?: string }) {
  const box = useRef<HTMLDivElement>(null);
  const [asTable, setAsTable] = useState(false);
  const attempt = useTry();
  const { layers, frame, selection } = history;
  const complete = frame !== null && layers.length === frame.total_layers;
  // The reading is the service's own words; it has none before the last layer.
  const { data: curve } = usePoll(`curve ${job.id} ${place} ${complete} ${selection?.rule}`, () =>
    complete ? loadCurve(job.id, place) : Promise.resolve(null),
  );
  const name = place > 0 ? `q-curve-${place + 1}-${job.id}` : `q-curve-${job.id}`;
  const where = `/jobs/${job.id}/q-curve${place > 0 ? `?teacher=${place}` : ""}`;
  const exportCsv = (): Promise<unknown> => attempt(async () => save(await text(where, "text/csv"), `${name}.csv`, "text/csv"));
  const chosen = selection?.chosen ?? [];
  const exports = layers.length > 0 && (
    <>
      <button type="button" className="button small ghost" aria-pressed={asTable} onClick={() => setAsTable(!asTable)}>
        {asTable ? "As a picture" : "As a table"}
      </button>
      {!asTable && (
        <>
          <button type="button" className="button small" onClick={() => void attempt(() => savePng(box.current as HTMLElement, name))}>
            PNG
          </button>
          <button type="button" className="button small" onClick={() => void attempt(async () => saveSvg(box.current as HTMLElement, name))}>
            SVG
          </button>
        </>
      )}
      <button type="button" className="button small" onClick={() => void exportCsv()}>
        CSV
      </button>
    </>
  );
  return (
    <Card title={heading} aside={exports}>
      <p className="muted curve-note">{note(job, history)}</p>
      <div ref={box}>
        {layers.length === 0 && kept?.problem ? (
          <Problem error={kept.problem} onRetry={kept.reload} />
        ) : layers.length === 0 && kept?.pending ? (
          <Loading what="the curve" />
        ) : layers.length === 0 ? (
          <p className={unscored(history) ? "muted" : "none tall"}>{unscored(history) ? "There is no Q curve: the dataset has no classes to compare. The layers were paired without one." : waiting(job)}</p>
        ) : asTable ? (
          <CurveTable layers={layers} chosen={chosen} samples={frame?.samples ?? null} />
        ) : (
          <QCurve layers={layers} totalLayers={frame?.total_layers ?? null} chosen={chosen} title={`Q curve of ${title(job)}`} />
        )}
      </div>
      <div className="curve-words">
        {curve && <Reading reading={curve.reading} />}
        {selection && <Pairs history={history} />}
      </div>
    </Card>
  );
}

function note(job: Job, { layers, frame, selection }: History): string {
  if (!frame) return "";
  const scored = layers.length < frame.total_layers ? `${layers.length} of ${frame.total_layers} layers scored` : `${frame.total_layers} layers`;
  const sample = frame.samples ? `, ${count(frame.samples)} samples of ${frame.classes} ${frame.grouping === "pseudo_classes" ? "pseudo-classes (k-means of the teacher’s deepest feature, not labels)" : "classes"}` : "";
  const reused = frame.reused ? ", taken from an earlier job with the same teacher, data and parameters" : "";
  const rule = selection ? `; ${selection.chosen.length} chosen by ${selection.rule}` : "";
  return `${scored}${sample}${reused}${rule}.${job.status === "running" && job.phase === "scoring" ? " Filling in." : ""}`;
}

/** Layers were paired without a curve: it compares classes, and the dataset has none. */
export const unscored = ({ layers, frame, selection }: History): boolean => selection !== null && layers.length === 0 && frame === null;

function waiting(job: Job): string {
  if (job.status === "queued") return "The curve fills in when the job starts.";
  if (job.finished_at) return "The job ended before a layer was scored.";
  return "The first layer appears as soon as it is scored.";
}

/** The service says it as sentences, in whatever structure; every string in it is one. */
export function sentences(reading: unknown): string[] {
  if (typeof reading === "string") return reading.split(/\n{2,}/).filter(Boolean);
  if (Array.isArray(reading)) return reading.flatMap(sentences);
  if (typeof reading === "object" && reading !== null) return Object.values(reading).flatMap(sentences);
  return [];
}

function Reading({ reading }: { reading: Curve["reading"] }) {
  const found = sentences(reading);
  if (found.length === 0) return null;
  return (
    <div className="reading">
      <h3>What it says</h3>
      {found.map((sentence) => (
        <p key={sentence}>
          <Prose text={sentence} />
        </p>
      ))}
    </div>
  );
}

function Pairs({ history: { selection, layers } }: { history: History }) {
  if (!selection) return null;
  return (
    <div className="pairs">
      <h3>Distilled pairs</h3>
      <Wide label="Distilled pairs">
        <table className="plain">
          <thead>
            <tr>
              <th scope="col">Teacher layer</th>
              <th scope="col">Student layer</th>
              <th scope="col" className="numbers">
                Q
              </th>
            </tr>
          </thead>
          <tbody>
            {selection.teacher_layers.map((name, at) => (
              <tr key={name}>
                <td>
                  <code>{name}</code>
                </td>
                <td>
                  <code>{selection.student_layers[at]}</code>
                </td>
                <td className="numbers">{figure(layers.find((layer) => layer.name === name)?.quality)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Wide>
      {selection.reason && (
        <p className="muted small">
          <Prose text={selection.reason} />
        </p>
      )}
    </div>
  );
}

/** `samples`: those of the curve. A column says how many a layer is scored on where they are not the same for all. */
export function CurveTable({ layers, chosen, samples }: { layers: CurvePoint[]; chosen: number[]; samples: number | null }) {
  const own = layers.some((layer) => typeof layer.samples === "number");
  return (
    <Wide label="Q curve as a table">
      <table className="plain">
        <Heads names={["Layer", "Kind", "Shape", "Depth", "Q", "S", "I", "E", ...(own ? ["Samples"] : []), "Chosen"]} />
        <tbody>
          {layers.map((layer) => (
            <tr key={layer.index}>
              <th scope="row">
                <code>{layer.name}</code>
              </th>
              <td>{layer.kind}</td>
              <td>{layer.shape.join(" × ")}</td>
              <td>{figure(layer.relative_depth, 3)}</td>
              <td>{figure(layer.quality)}</td>
              <td>{figure(layer.separation)}</td>
              <td>{figure(layer.information)}</td>
              <td>{figure(layer.efficiency)}</td>
              {own && <td>{count(layer.samples ?? samples)}</td>}
              <td>{chosen.includes(layer.index) ? "yes" : ""}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Wide>
  );
}
