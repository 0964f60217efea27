import { useEffect, useMemo, useState } from "react";

import { api, unwrap } from "../api/client";
import { isActive, type Pareto, type Study as StudyData, type StudyTable as Table } from "../api/types";
import { axesOf, type Brushes, kept } from "../charts/parallel";
import { FigureCard } from "../components/FigureCard";
import { ImportanceBars } from "../components/ImportanceBars";
import { Card, Facts, Labels, Loading, Page } from "../components/Layout";
import { ParallelPlot } from "../components/ParallelPlot";
import { ParetoPlot } from "../components/ParetoPlot";
import { Problem } from "../components/Problem";
import { Status } from "../components/Status";
import { StudyActions } from "../components/StudyActions";
import { StudyTable } from "../components/StudyTable";
import { usePoll } from "../hooks/usePoll";
import { useStudyEvents } from "../hooks/useStudyEvents";
import { duration, words } from "../lib/format";
import { progress, studyTitle } from "../lib/studies";
import { Link } from "../router";

/** Where no event is heard, the page asks this often all the same. */
const UNHEARD_MS = 15_000;

/** While the study goes on, it and what it has found are asked for again at each of its events. */
export function Study({ id }: { id: string }) {
  const [active, setActive] = useState(true);
  const path = { study_id: id };
  const { data: study, problem, reload } = usePoll(
    `study ${id}`,
    async () => {
      const found = await unwrap(api.GET("/studies/{study_id}", { params: { path } }));
      setActive(isActive(found.status));
      return found;
    },
    active ? UNHEARD_MS : null,
  );
  const [happened, setHappened] = useState(0);
  useStudyEvents(id, active && study !== undefined, () => {
    reload();
    setHappened((times) => times + 1);
  });
  if (!study || problem?.problem.status === 404) {
    return <Page title={`Study ${id}`}>{problem ? <Problem error={problem} onRetry={reload} /> : <Loading what="the study" />}</Page>;
  }
  return (
    <Page
      title={studyTitle(study)}
      above={
        <p className="crumbs">
          <Link to="/studies">Studies</Link> <span aria-hidden="true">/</span> <code>{id}</code>
        </p>
      }
      actions={
        <StudyActions
          study={study}
          onChange={() => {
            setActive(true);
            reload();
          }}
        />
      }
    >
      <Headline study={study} />
      {problem && <Problem error={problem} onRetry={reload} />}
      {study.error && <p role="alert">{String(study.error.message)}</p>}
      {study.result && typeof study.result.reading === "string" && <Card title="Result"><p>{study.result.reading}</p></Card>}
      <Found study={study} happened={happened} />
      <Card title="What it was asked">
        <Facts
          facts={[
            ["Seeds", study.seeds.join(", ")],
            ["Strategy", words(String(study.strategy.name))],
            ["Objectives", study.objectives.map(({ name, direction, limit }) => `${direction} ${name}${limit === null ? "" : ` (limit ${limit})`}`).join(", ")],
            ["At once", String(study.budget.parallel)],
            ["Time under workers", duration(60 * study.used_minutes)],
            ["Points of the space", study.points === null ? "endless" : String(study.points)],
          ]}
        />
        <pre tabIndex={0}>{JSON.stringify(study.space, null, 2)}</pre>
      </Card>
    </Page>
  );
}

function Headline({ study }: { study: StudyData }) {
  return (
    <div className="headline">
      <Status status={study.status} />
      {isActive(study.status) && <span className="muted">{study.phase}</span>}
      <span>{progress(study)}</span>
      <Labels labels={study.labels} />
    </div>
  );
}

function Found({ study, happened }: { study: StudyData; happened: number }) {
  const [brushes, setBrushes] = useState<Brushes>({});
  const params = { params: { path: { study_id: study.id } } };
  const pause = isActive(study.status) ? UNHEARD_MS : null; // once more at its end
  const table = usePoll(`table ${study.id}`, async () => (await unwrap(api.GET("/studies/{study_id}/table", params))) as Table, pause);
  const pareto = usePoll(`pareto ${study.id}`, async () => (await unwrap(api.GET("/studies/{study_id}/pareto", params))) as Pareto, pause);
  const importance = usePoll(`importance ${study.id}`, () => unwrap(api.GET("/studies/{study_id}/importance", params)), pause);
  const loaded = [table, pareto, importance];
  useEffect(() => {
    if (happened > 0) for (const each of loaded) each.reload();
  }, [happened]); // at events alone
  const axes = useMemo(() => (table.data ? axesOf(table.data, study.space) : []), [table.data, study.space]);
  const jobs = useMemo(() => new Map(pareto.data?.points.map((point) => [point.configuration, point.job ?? undefined])), [pareto.data]);
  const shown = table.data && { ...table.data, rows: table.data.rows.filter((row) => kept(row, axes, brushes)) };
  const first = study.objectives[0];
  return (
    <>
      {table.problem && <Problem error={table.problem} onRetry={table.reload} />}
      {shown && <StudyTable table={shown} path={`/studies/${study.id}/table`} />}
      {table.data && <FigureCard study={study.id} name={studyTitle(study)} interval={pause} happened={happened} />}
      {table.data && axes.length > 1 && (
        <ParallelPlot
          rows={table.data.rows} axes={axes} brushes={brushes} onBrush={setBrushes} jobOf={(number) => jobs.get(number)}
          by={first && { name: first.name, down: first.direction !== "minimize" }}
        />
      )}
      {pareto.data && pareto.data.points.length > 0 && <ParetoPlot pareto={pareto.data} />}
      {importance.data && Object.keys(importance.data.shares).length > 0 && <ImportanceBars importance={importance.data} />}
    </>
  );
}
