import { useEffect, useState } from "react";

import { api, unwrap } from "../api/client";
import { readResult } from "../api/result";
import { isActive, type Job as JobData } from "../api/types";
import { BudgetCard } from "../components/BudgetTable";
import { ChoiceCard } from "../components/ChoiceCard";
import { CurveCards, unscored } from "../components/CurveCard";
import { Disagreements } from "../components/Disagreements";
import { Exports } from "../components/Exports";
import { Publications } from "../components/Publications";
import { FailureCard } from "../components/FailureCard";
import { JobActions } from "../components/JobActions";
import { JobDetails } from "../components/JobDetails";
import { Card, Labels, Loading, Page } from "../components/Layout";
import { LiveNote } from "../components/LiveNote";
import { Phases } from "../components/Phases";
import { Problem } from "../components/Problem";
import { ResultCard } from "../components/ResultCard";
import { explain, Status } from "../components/Status";
import { TestedCards } from "../components/TestedCard";
import { TrainingCharts } from "../components/TrainingCharts";
import { Warnings } from "../components/Warnings";
import { TryIt } from "../components/TryIt";
import { Vitals } from "../components/Vitals";
import { useKeptCurve } from "../hooks/useKeptCurve";
import { useLayered } from "../hooks/useLayered";
import { useNames } from "../hooks/useNames";
import { usePoll } from "../hooks/usePoll";
import { bare, options, words } from "../lib/format";
import { recipeOf, title } from "../lib/jobs";
import { useJobHistory } from "../live/useJobHistory";
import { Link } from "../router";

export function Job({ id }: { id: string }) {
  const [restart, setRestart] = useState(0);
  const live = useJobHistory(id, restart);
  const [active, setActive] = useState(true);
  const { data: job, problem, reload } = usePoll(`job ${id}`, () => unwrap(api.GET("/jobs/{job_id}", { params: { path: { job_id: id } } })), active ? 4000 : null);
  const names = useNames();
  const layered = useLayered();
  const kept = useKeptCurve(job && layered && layered.get(recipeOf(job)) !== false ? job : undefined, live.history);

  useEffect(() => {
    if (job) setActive(isActive(job.status));
  }, [job]);
  useEffect(() => {
    if (live.history.status) reload();
  }, [live.history.status, live.history.selection, live.mode, reload]);

  if (!job || problem?.problem.status === 404) {
    return <Page title={job ? title(job) : `Job ${id}`}>{problem ? <Problem error={problem} onRetry={reload} /> : <Loading what="the job" />}</Page>;
  }
  const result = readResult(job);
  const { history } = kept;
  const scores = (layered?.get(recipeOf(job)) ?? false) || history.layers.length > 0;
  return (
    <Page
      title={title(job)}
      above={
        <p className="crumbs">
          <Link to="/">Jobs</Link> <span aria-hidden="true">/</span> <code>{id}</code>
        </p>
      }
      actions={
        <JobActions
          job={job}
          onChange={reload}
          onRetried={() => {
            setActive(true);
            setRestart((n) => n + 1);
            reload();
          }}
        />
      }
    >
      <Headline job={job} names={names} />
      <LiveNote job={job} live={live} problem={problem} />
      <Phases job={job} history={history} scores={scores && (kept.pending || !unscored(history))} />
      <Warnings job={job} />
      {job.status === "failed" && <FailureCard job={job} />}
      {result && <ResultCard job={job} result={result} />}
      <ChoiceCard job={job} />
      <BudgetCard job={job} />
      {result && job.finished_at && <TestedCards job={job} />}
      <TryIt job={job} />
      {result && <Disagreements job={job} />}
      <Exports job={job} />
      <Publications job={job} />
      <Vitals job={job} live={live} />
      {scores && <CurveCards job={job} history={history} names={names} kept={kept} />}
      <TrainingCharts job={job} history={history} version={live.version} />
      <Card className="flush">
        <JobDetails job={job} names={names} history={history} />
      </Card>
    </Page>
  );
}

function Headline({ job, names }: { job: JobData; names: Map<string, string> }) {
  return (
    <div className="headline">
      <Status status={job.status} />
      {explain(job) && <span className="muted">{explain(job)}</span>}
      <span>
        <b>{words(job.recipe)}</b>
        {job.teacher && (
          <>
            {" "}
            from{" "}
            {(job.teachers ?? [job.teacher]).map((id, at) => (
              <span key={id}>
                {at > 0 && " and "}
                <Link to={`/teachers/${id}`}>{names.get(id) ?? id}</Link>
              </span>
            ))}
          </>
        )}{" "}
        into <b>{bare(job.student.name)}</b>
        {options(job.student.options) && <span className="muted"> ({options(job.student.options)})</span>} on <Link to={`/datasets/${job.dataset}`}>{names.get(job.dataset) ?? job.dataset}</Link>
      </span>
      {job.study && (
        <span>
          a trial of <Link to={`/studies/${job.study}`}>a study</Link>
        </span>
      )}
      <Labels labels={job.labels} />
    </div>
  );
}
