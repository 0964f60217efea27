import { api, unwrap } from "../api/client";
import type { Job } from "../api/types";
import { usePoll } from "../hooks/usePoll";
import type { History } from "../live/history";
import { Artifacts } from "./Artifacts";
import { Attempts } from "./Attempts";
import { Configuration } from "./Configuration";
import { Inputs } from "./Inputs";
import { Log } from "./Log";
import { Tabs } from "./Tabs";

interface Props {
  job: Job;
  names: Map<string, string>;
  history: History;
}

export function JobDetails({ job, names, history }: Props) {
  const params = { params: { path: { job_id: job.id } } };
  const artifacts = usePoll(`artifacts ${job.id} ${history.artifacts} ${job.status}`, () => unwrap(api.GET("/jobs/{job_id}/artifacts", params)));
  const count = artifacts.data?.items.length;
  return (
    <Tabs
      label="Details"
      tabs={[
        { id: "log", title: "Log", content: () => <Log job={job} gone={history.trimmed} /> },
        { id: "files", title: "Artifacts", note: count || undefined, content: () => <Artifacts job={job} artifacts={artifacts} /> },
        { id: "config", title: "Configuration", content: () => <Configuration job={job} /> },
        { id: "inputs", title: "Inputs", content: () => <Inputs job={job} names={names} /> },
        { id: "attempts", title: "Attempts", note: job.attempt > 1 ? job.attempt : undefined, content: () => <Attempts job={job} history={history} /> },
      ]}
    />
  );
}
