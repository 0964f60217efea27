import { useState } from "react";

import { api, unwrap } from "../api/client";
import { isActive, type Pareto, type Study as StudyData, type StudyTable as Table } from "../api/types";
import { ImportanceBars } from "../components/ImportanceBars";
import { Card, Facts, Labels, Loading, Page } from "../components/Layout";
import { ParetoPlot } from "../components/ParetoPlot";
import { Problem } from "../components/Problem";
import { Status } from "../components/Status";
import { StudyActions } from "../components/StudyActions";
import { StudyTable } from "../components/StudyTable";
import { usePoll } from "../hooks/usePoll";
import { duration, words } from "../lib/format";
import { progress, studyTitle } from "../lib/studies";
import { Link } from "../router";

/** While the study goes on, it and what it has found are asked for again. */
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
    active ? 3000 : null,
  );
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
      <Found study={study} />
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

function Found({ study }: { study: StudyData }) {
  const params = { params: { path: { study_id: study.id } } };
  const pause = isActive(study.status) ? 5000 : null; // once more at its end
  const table = usePoll(`table ${study.id}`, async () => (await unwrap(api.GET("/studies/{study_id}/table", params))) as Table, pause);
  const pareto = usePoll(`pareto ${study.id}`, async () => (await unwrap(api.GET("/studies/{study_id}/pareto", params))) as Pareto, pause);
  const importance = usePoll(`importance ${study.id}`, () => unwrap(api.GET("/studies/{study_id}/importance", params)), pause);
  return (
    <>
      {table.problem && <Problem error={table.problem} onRetry={table.reload} />}
      {table.data && <StudyTable table={table.data} path={`/studies/${study.id}/table`} />}
      {pareto.data && pareto.data.points.length > 0 && <ParetoPlot pareto={pareto.data} />}
      {importance.data && Object.keys(importance.data.shares).length > 0 && <ImportanceBars importance={importance.data} />}
    </>
  );
}
