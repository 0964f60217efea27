import { useMemo, useState } from "react";

import { api, unwrap } from "../api/client";
import { loadCurve } from "../api/curve";
import { asProblem } from "../api/problem";
import { type Column, figureAt, readResult, studentOf, teacherOf } from "../api/result";
import type { Curve, Job, Metric, Task } from "../api/types";
import { type Overlay, OverlayChart } from "../charts/OverlayChart";
import { FIELDS, type Field } from "../charts/QCurvePicture";
import { Icon } from "../components/Icon";
import { JobPicker } from "../components/JobPicker";
import { Card, Loading, Page, Wide } from "../components/Layout";
import { Problem } from "../components/Problem";
import { costRows, metricRow } from "../components/ResultCard";
import { Status } from "../components/Status";
import { useSay, useTry } from "../components/Toasts";
import { usePoll } from "../hooks/usePoll";
import { useTasks } from "../hooks/useTasks";
import { csv, markdown } from "../lib/csv";
import { copy, save } from "../lib/download";
import { bare, MISSING, words } from "../lib/format";
import { title } from "../lib/jobs";
import { settings, shownValue } from "../lib/settings";
import { has, metricsOf, shown } from "../lib/tasks";
import { Link, navigate, usePlace } from "../router";

interface Compared {
  job: Job;
  curve: Curve | null;
}

/** Null for a job that is gone; any other problem is the whole page's. */
async function one(id: string): Promise<Compared | null> {
  try {
    return await load(id);
  } catch (error) {
    if (asProblem(error).problem.status === 404) return null;
    throw error;
  }
}

async function load(id: string): Promise<Compared> {
  const params = { params: { path: { job_id: id } } };
  const job = await unwrap(api.GET("/jobs/{job_id}", params));
  const recipes = await unwrap(api.GET("/catalogue/recipes"));
  const scores = recipes.items.find(({ name }) => name === job.recipe)?.needs_layers ?? false;
  const curve = scores ? await loadCurve(id) : null;
  return { job, curve };
}

export function Compare() {
  const { query } = usePlace();
  const ids = useMemo(() => [...new Set((query.get("jobs") ?? "").split(",").filter(Boolean))], [query]);
  const { data, problem, reload } = usePoll(`compare ${ids.join()}`, () => Promise.all(ids.map(one)), 8000);
  const change = (next: string[]): void => navigate(`/compare${next.length ? `?jobs=${next.join(",")}` : ""}`, { replace: true });
  const found = data?.filter((each) => each !== null) ?? [];
  const gone = ids.filter((_, at) => data?.[at] === null);
  const leaveOut = (...out: string[]): void => change(ids.filter((id) => !out.includes(id)));
  return (
    <Page title="Compare">
      <div className="compare-picks">
        {ids.map((id) => {
          const at = found.findIndex(({ job }) => job.id === id);
          const name = found[at] ? title(found[at].job) : id;
          return (
            <span key={id} className={at < 0 ? "chip" : `chip series-${at % 8}`}>
              {at < 0 ? <code>{id}</code> : <Link to={`/jobs/${id}`}>{name}</Link>}
              <button type="button" aria-label={`Leave out ${name}`} onClick={() => leaveOut(id)}>
                ×
              </button>
            </span>
          );
        })}
        <JobPicker label="Add a job" without={ids} onPick={(id) => change([...ids, id])} />
      </div>
      {problem && !data && <Problem error={problem} onRetry={reload} />}
      {gone.length > 0 && <Gone ids={gone} onLeaveOut={() => leaveOut(...gone)} />}
      {!data && !problem && ids.length > 0 && <Loading what="the jobs" />}
      {ids.length === 0 && <p className="none card">Add jobs above, or select several in the list of jobs.</p>}
      {found.length > 0 && <Compared jobs={found} />}
    </Page>
  );
}

function Gone({ ids, onLeaveOut }: { ids: string[]; onLeaveOut: () => void }) {
  return (
    <p className="row wrap" role="status">
      <span>
        {ids.length === 1 ? "This job is" : "These jobs are"} no longer there: {ids.join(", ")}.
      </span>
      <button type="button" className="button small" onClick={onLeaveOut}>
        Leave {ids.length === 1 ? "it" : "them"} out
      </button>
    </p>
  );
}

function Compared({ jobs }: { jobs: Compared[] }) {
  return (
    <>
      <Curves jobs={jobs} />
      <Results jobs={jobs.map(({ job }) => job)} />
      <Settings jobs={jobs.map(({ job }) => job)} />
    </>
  );
}

function Curves({ jobs }: { jobs: Compared[] }) {
  const [field, setField] = useState<Field>("quality");
  const overlays: Overlay[] = jobs.map(({ job, curve }) => ({ name: title(job), layers: curve?.layers ?? [], chosen: curve?.chosen ?? [] }));
  if (overlays.every(({ layers }) => layers.length === 0)) return null;
  const aside = (
    <div className="segments" role="group" aria-label="Shown">
      {FIELDS.map((each) => (
        <button key={each.field} type="button" aria-pressed={each.field === field} title={each.name} onClick={() => setField(each.field)}>
          {each.letter}
        </button>
      ))}
    </div>
  );
  return (
    <Card title="Q curves" aside={aside}>
      <OverlayChart overlays={overlays} field={field} />
    </Card>
  );
}

function rows(jobs: Job[], tasks: Task[]): string[][] {
  const metrics = metricsOf(tasks, jobs);
  const primary = metrics.filter((metric) => tasks.some((task) => task.metrics[0] === metric));
  const students: (Column | undefined)[] = jobs.map((job) => studentOf(readResult(job)));
  const teachers = jobs.map((job) => teacherOf(readResult(job)));
  const figures = (metric: Metric, columns: (Column | undefined)[]): string[] =>
    columns.map((column, at) => (has(tasks, jobs[at]!, metric) ? shown(metric, figureAt(column, metric)?.value) : MISSING));
  return [
    ["Status", ...jobs.map((job) => job.status)],
    ["Recipe", ...jobs.map((job) => words(job.recipe))],
    ["Student", ...jobs.map((job) => bare(job.student.name))],
    ["Layers chosen by", ...jobs.map((job) => String(job.selection?.rule ?? MISSING))],
    ...metrics.map((metric) => [metricRow(metric).name, ...figures(metric, students)]),
    ...costRows().map((row) => [row.name, ...students.map((column) => (column ? row.value(column) : MISSING))]),
    ...primary.map((metric) => [`Teacher's ${metric.label}`, ...figures(metric, teachers)]),
  ];
}

function Results({ jobs }: { jobs: Job[] }) {
  const say = useSay();
  const attempt = useTry();
  const head = ["", ...jobs.map(title)];
  const body = rows(jobs, useTasks()).filter(([, ...cells]) => cells.some((cell) => cell !== MISSING));
  return (
    <Card
      title="Results"
      aside={
        <>
          <button type="button" className="button small" onClick={() => save(csv([head, ...body]), "comparison.csv", "text/csv")}>
            CSV
          </button>
          <button type="button" className="button small" onClick={() => void attempt(() => copy(markdown([head, ...body])).then(() => say("Copied as Markdown.")))}>
            <Icon name="copy" size={15} /> Markdown
          </button>
        </>
      }
    >
      <Wide label="Results">
        <table className="plain results">
          <thead>
            <tr>
              <td />
              {jobs.map((job) => (
                <th key={job.id} scope="col">
                  <Link to={`/jobs/${job.id}`}>{title(job)}</Link>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {body.map(([name, ...cells]) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                {cells.map((cell, at) => (
                  <td key={jobs[at]?.id}>{name === "Status" ? <Status status={cell as Job["status"]} /> : cell}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </Wide>
    </Card>
  );
}

function Settings({ jobs }: { jobs: Job[] }) {
  const columns = jobs.map((job) => new Map(settings(job).map((row) => [row.name, shownValue(row.value)])));
  const names = [...new Set(columns.flatMap((column) => [...column.keys()]))];
  const differing = names.filter((name) => new Set(columns.map((column) => column.get(name))).size > 1);
  if (jobs.length < 2) return null;
  return (
    <Card title="Settings that differ">
      {differing.length === 0 ? (
        <p className="none">Every setting is the same.</p>
      ) : (
        <Wide label="Settings that differ">
          <table className="plain settings">
            <thead>
              <tr>
                <th scope="col">Setting</th>
                {jobs.map((job) => (
                  <th key={job.id} scope="col">
                    {title(job)}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {differing.map((name) => (
                <tr key={name}>
                  <th scope="row">
                    <code>{name}</code>
                  </th>
                  {columns.map((column, at) => (
                    <td key={jobs[at]?.id}>
                      <code>{column.get(name) ?? MISSING}</code>
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </Wide>
      )}
    </Card>
  );
}
