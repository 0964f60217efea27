import { useState } from "react";

import { api, unwrap } from "../api/client";
import { isActive, type Job, type Publication } from "../api/types";
import { usePoll } from "../hooks/usePoll";
import { Copy } from "./Copy";
import { DownloadButton } from "./DownloadButton";
import { Card, Wide } from "./Layout";
import { Problem } from "./Problem";
import { PublishForm } from "./PublishForm";
import { Status } from "./Status";
import { useTry } from "./Toasts";

const WAIT_MS = 3000;

/** Where the job is told of while it runs, where the student was handed over, and a form that hands it over. */
export function Publications({ job }: { job: Job }) {
  const any = job.status === "succeeded" || (job.publications ?? []).length > 0;
  return "publications" in job.links && any ? <Published job={job} /> : null;
}

function Published({ job }: { job: Job }) {
  const [waiting, setWaiting] = useState(false);
  const load = () => unwrap(api.GET("/jobs/{job_id}/publications", { params: { path: { job_id: job.id } } }));
  const { data, problem, reload } = usePoll(`publications ${job.id}`, load, waiting ? WAIT_MS : null);
  const going = data?.items.some(({ status }) => isActive(status)) ?? false;
  if (going !== waiting) setWaiting(going);
  return (
    <Card title="Publish" aside={<span className="muted">{job.status === "succeeded" ? "the student, where models are kept" : "as the job runs"}</span>}>
      {problem && !data && <Problem error={problem} onRetry={reload} />}
      {data && data.items.length > 0 && (
        <Wide label="Publications">
          <table className="plain results">
            <thead>
              <tr>
                {["Target", "Status", "Result"].map((name) => (
                  <th key={name} scope="col">
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            {data.items.map((each) => (
              <Row key={each.id} made={each} onRetried={reload} />
            ))}
          </table>
        </Wide>
      )}
      {job.status === "succeeded" && <PublishForm job={job} onAsked={reload} />}
    </Card>
  );
}

/** Since when the target of a publication that goes on does not answer; null where it does. */
function silentSince({ status, warnings }: Publication): Date | null {
  const open = warnings.find(({ details }) => typeof details.since === "string" && details.until === null);
  return open && isActive(status) ? new Date(String(open.details.since)) : null;
}

/** What went wrong has a line of its own: on a phone a third column would be out of sight. */
function Row({ made, onRetried }: { made: Publication; onRetried: () => void }) {
  const silent = silentSince(made);
  const where = Object.entries(made.parameters).map(([name, value]) => `${name} ${String(value)}`);
  return (
    <tbody>
      <tr>
        <th scope="row">
          <code>{made.target}</code>
          {where.length > 0 && <span className="muted small">{where.join(", ")}</span>}
        </th>
        <td>
          <Status status={made.status} />
          {silent && <span className="muted small"> no answer since {silent.toLocaleTimeString()}</span>}
        </td>
        <td>{!made.error && <Result made={made} />}</td>
      </tr>
      {made.error && (
        <tr>
          <td colSpan={3}>
            <Failure made={made} onRetried={onRetried} />
          </td>
        </tr>
      )}
    </tbody>
  );
}

function Failure({ made, onRetried }: { made: Publication; onRetried: () => void }) {
  const attempt = useTry();
  async function retry(): Promise<void> {
    await attempt(() => unwrap(api.POST("/jobs/{job_id}/retry", { params: { path: { job_id: made.id } } })));
    onRetried();
  }
  return (
    <>
      <span className="error">{String(made.error?.message)}</span> <span className="muted small">{String(made.error?.remedy ?? "")}</span>
      {made.status === "failed" && made.error?.fault === "system" && (
        <button type="button" className="button" onClick={() => void retry()}>
          Retry
        </button>
      )}
    </>
  );
}

function Result({ made }: { made: Publication }) {
  const url = text(made.receipt?.url);
  const id = text(made.receipt?.commit) ?? text(made.receipt?.run_id) ?? text(made.receipt?.digest);
  return (
    <div className="row">
      {url && (/^https?:/.test(url) ? <a href={url} title={url} target="_blank" rel="noreferrer">{new URL(url).host}</a> : <code>{url}</code>)}
      {id && (
        <>
          <code className="small">{id.slice(0, 12)}</code>
          <Copy text={id} what="the id of the result" />
        </>
      )}
      {made.files.map(({ name, href }) => (
        <DownloadButton key={name} path={href} name={name} />
      ))}
    </div>
  );
}

const text = (value: unknown): string | null => (typeof value === "string" && value ? value : null);
