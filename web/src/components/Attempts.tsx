import { api, unwrap } from "../api/client";
import type { Job } from "../api/types";
import { useNow } from "../hooks/useNow";
import { usePoll } from "../hooks/usePoll";
import { between, bytes, clock, duration, MISSING, words } from "../lib/format";
import type { History } from "../live/history";
import { Loading, Wide } from "./Layout";
import { Problem } from "./Problem";

async function load(id: string) {
  const params = { params: { path: { job_id: id } } };
  const [attempts, checkpoints] = await Promise.all([unwrap(api.GET("/jobs/{job_id}/attempts", params)), unwrap(api.GET("/jobs/{job_id}/checkpoints", params))]);
  return { attempts: attempts.items, checkpoints: checkpoints.items };
}

export function Attempts({ job, history }: { job: Job; history: History }) {
  const now = useNow();
  const { data, problem, reload } = usePoll(`attempts and checkpoints ${job.id} ${job.status} ${job.attempt} ${history.checkpoints}`, () => load(job.id));
  if (problem && !data) return <Problem error={problem} onRetry={reload} />;
  if (!data) return <Loading what="attempts" />;
  return (
    <>
      {data.attempts.length === 0 ? (
        <p className="none">No worker has taken this job yet.</p>
      ) : (
        <Wide label="Attempts">
          <table className="plain">
            <thead>
              <tr>
                <th scope="col">Attempt</th>
                <th scope="col">Started</th>
                <th scope="col">Took</th>
                <th scope="col">Ended</th>
                <th scope="col">Peak memory</th>
                <th scope="col">Worker</th>
              </tr>
            </thead>
            <tbody>
              {data.attempts.map((each) => (
                <tr key={each.number}>
                  <th scope="row">{each.number}</th>
                  <td className="nowrap">{clock(each.started_at)}</td>
                  <td className="nowrap">{duration(between(each.started_at, each.finished_at ?? now))}</td>
                  <td>
                    {each.outcome ? words(each.outcome) : "still running"}
                    {each.error && <span className="muted small">{String(each.error.message ?? each.error.code ?? "")}</span>}
                  </td>
                  <td>{each.peak_memory_bytes ? bytes(each.peak_memory_bytes) : MISSING}</td>
                  <td>
                    <code>{each.worker_id}</code>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </Wide>
      )}
      <h3>Checkpoints</h3>
      {data.checkpoints.length === 0 ? (
        <p className="none">None is kept.</p>
      ) : (
        <Wide label="Checkpoints">
          <table className="plain">
            <thead>
              <tr>
                <th scope="col">Step</th>
                <th scope="col">Epoch</th>
                <th scope="col">Attempt</th>
                <th scope="col">Size</th>
                <th scope="col">Written</th>
              </tr>
            </thead>
            <tbody>
              {data.checkpoints.map((each) => (
                <tr key={each.step}>
                  <th scope="row">{each.step}</th>
                  <td>{each.epoch}</td>
                  <td>{each.attempt}</td>
                  <td>{bytes(each.size_bytes)}</td>
                  <td>{clock(each.created_at)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Wide>
      )}
    </>
  );
}
