import { Sparkline } from "../charts/Sparkline";
import { figureAt, readResult, studentOf, teacherOf } from "../api/result";
import type { Curve, Job } from "../api/types";
import { useTasks } from "../hooks/useTasks";
import { ago, bare, clock, count, duration, MISSING, options, words } from "../lib/format";
import { curveLabel, progressOf, title } from "../lib/jobs";
import { named, shown } from "../lib/tasks";
import { Link } from "../router";
import { RowActions } from "./JobActions";
import { Bar, Labels } from "./Layout";
import { explain, Status } from "./Status";

interface Props {
  job: Job;
  curve: Curve | undefined;
  names: Map<string, string>;
  now: number;
  picked: boolean;
  onPick: () => void;
  onChange: () => void;
}

export function JobRow({ job, curve, names, now, picked, onPick, onChange }: Props) {
  const chosen = new Set(curve?.chosen);
  return (
    <tr className={picked ? "picked" : undefined}>
      <td className="pick">
        <input type="checkbox" checked={picked} onChange={onPick} aria-label={`Select ${title(job)}`} />
      </td>
      <td className="job-name">
        <Link to={`/jobs/${job.id}`}>{title(job)}</Link>
        <span className="muted small">
          {words(job.recipe)} · {bare(job.student.name)}
          {options(job.student.options) && ` (${options(job.student.options)})`}
          {job.teacher && (
            <>
              {" "}
              from <bdi>{names.get(job.teacher) ?? "a teacher"}</bdi>
            </>
          )}{" "}
          · <bdi>{names.get(job.dataset) ?? "a dataset"}</bdi>
        </span>
        <Labels labels={job.labels} />
      </td>
      <td data-title="Status">
        <Status status={job.status} />
        <span className="muted small">{job.error ? String(job.error.code ?? "") : explain(job)}</span>
      </td>
      <td data-title="Progress">
        <RowProgress job={job} now={now} />
      </td>
      <td data-title="Q curve" className="spark">
        {curve && curve.layers.length > 1 ? (
          <Sparkline points={curve.layers.map((l) => ({ x: l.relative_depth, y: l.quality, marked: chosen.has(l.index) }))} label={curveLabel(curve)} />
        ) : (
          <span className="muted">–</span>
        )}
      </td>
      <td data-title="Result" className="numbers">
        <Primary job={job} />
      </td>
      <td data-title="Created" className="muted small nowrap" title={clock(job.created_at)}>
        {ago(job.created_at, now)}
      </td>
      <td className="actions">
        <RowActions job={job} onChange={onChange} />
      </td>
    </tr>
  );
}

function RowProgress({ job, now }: { job: Job; now: number }) {
  const { fraction, etaSeconds, step, totalSteps } = progressOf(job.progress);
  if (job.status === "queued") return <span className="muted">waiting</span>;
  if (job.status === "paused") return <span className="muted">{step === null ? MISSING : `at step ${count(step)} of ${count(totalSteps)}`}</span>;
  if (job.finished_at && job.started_at) {
    return <span className="muted small nowrap">took {duration((Date.parse(job.finished_at) - Date.parse(job.started_at)) / 1000)}</span>;
  }
  if (job.finished_at) return <span className="muted">never started</span>;
  const distilling = job.phase === "distilling" && fraction !== null;
  return (
    <>
      <span>{job.phase ?? "starting"}</span>
      {distilling && <Bar fraction={fraction} label={`${job.phase} of ${title(job)}`} />}
      <span className="muted small">
        {distilling && etaSeconds !== null
          ? `${duration(etaSeconds)} left`
          : job.started_at
            ? `for ${duration((now - Date.parse(job.started_at)) / 1000)}`
            : ""}
      </span>
    </>
  );
}

/** The task's primary metric, of the student and its teacher. */
function Primary({ job }: { job: Job }) {
  const metrics = named(useTasks(), job.task)?.metrics ?? [];
  const result = readResult(job);
  // Of pictures without labels there is no accuracy: the first figure that there is.
  const metric = metrics.find((each) => figureAt(studentOf(result), each) != null) ?? metrics[0];
  if (!metric) return <span className="muted">{MISSING}</span>;
  const [student, teacher] = [studentOf(result), teacherOf(result)].map((column) => figureAt(column, metric)?.value);
  if (student === undefined) return <span className="muted">{MISSING}</span>;
  return (
    <>
      <strong>{shown(metric, student)}</strong> <span className="small">{metric.label}</span>
      {teacher !== undefined && <span className="muted small nowrap">teacher {shown(metric, teacher)}</span>}
    </>
  );
}
