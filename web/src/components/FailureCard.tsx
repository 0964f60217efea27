import { useState } from "react";

import { api, unwrap } from "../api/client";
import type { Job } from "../api/types";
import { usePoll } from "../hooks/usePoll";
import { bytes } from "../lib/format";
import { LogLines } from "./LogLines";
import { Prose } from "./Prose";

interface Advice {
  says: string;
  change: string;
}

/** What each failure means to a person. The service's own message and remedy stand beside it, not behind it. */
const ADVICE: Record<string, Advice> = {
  worker_lost: { says: "The machine that ran this job stopped answering.", change: "Retry: it goes on from the last checkpoint, perhaps on another machine." },
  oom_gpu: { says: "The job needed more memory than the GPU has.", change: "Clone it with a smaller batch, and more gradient accumulation to keep the effective batch." },
  oom_host: { says: "The job needed more memory than the machine has.", change: "Clone it with a smaller batch or a smaller teacher cache." },
  diverged: { says: "Training diverged: the loss is no number any more, or it exploded.", change: "Clone it with a lower learning rate, or let the features be normalised; the layers that the details name are the first suspects." },
  at_chance: { says: "The student stayed at chance: it knows no more than guessing does.", change: "Clone it with more epochs, a higher learning rate, other layers or another recipe; if nothing helps, look at the labels." },
  max_runtime_exceeded: { says: "The job ran for longer than it was allowed to.", change: "Clone it with fewer epochs, or allow it more time." },
  max_attempts_exceeded: { says: "The job was started again as often as it may be, and did not finish.", change: "Look at the workers' logs, then retry: it goes on from its last checkpoint." },
  invalid_dataset: { says: "The dataset cannot be used as it is.", change: "Correct what is named below, register it again and clone the job." },
  invalid_teacher: { says: "The teacher cannot be used as it is.", change: "Correct what is named below, register it again and clone the job." },
  storage_unavailable: { says: "The object store could not be reached.", change: "Nothing is wrong with your job. Retry when the store is back." },
};

export function FailureCard({ job }: { job: Job }) {
  const error = (job.error ?? {}) as Record<string, unknown>;
  const code = String(error.code ?? "unknown");
  const advice = ADVICE[code];
  const user = error.fault === "user";
  const message = String(error.message ?? "");
  const remedy = String(error.remedy ?? "");
  const details = Object.entries((error.details ?? {}) as Record<string, unknown>).filter(([, value]) => value !== null && value !== "");
  return (
    <section className="failure" aria-labelledby="failure">
      <h2 id="failure">{advice?.says ?? "The job failed."}</h2>
      <p className="fault">
        {user ? `This is about the job's input: ${error.retryable === true ? "put right what is named, and retry." : "the same input would fail again."}` : "This is the service's fault, not yours."} <code>{code}</code>
      </p>
      {message && <p>{message}</p>}
      <div className="what-now">
        <h3>What to do</h3>
        <ul>
          {remedy && (
            <li>
              <Prose text={remedy} />
            </li>
          )}
          {!remedy && advice && <li>{advice.change}</li>}
          {!remedy && !advice && <li>{user ? "Clone the job, change what the message names, and submit it." : "Retry it. If it fails again, the log below says where."}</li>}
        </ul>
      </div>
      {details.length > 0 && (
        <details>
          <summary>Details</summary>
          <dl className="facts">
            {details.map(([name, value]) => (
              <div key={name}>
                <dt>{name.replaceAll("_", " ")}</dt>
                <dd>{name.endsWith("bytes") && typeof value === "number" ? bytes(value) : typeof value === "object" ? JSON.stringify(value) : String(value)}</dd>
              </div>
            ))}
          </dl>
        </details>
      )}
      <LastLines job={job} />
    </section>
  );
}

const FEW = 6;
const MANY = 50;

function LastLines({ job }: { job: Job }) {
  const params = { path: { job_id: job.id }, query: { tail: MANY } };
  const { data } = usePoll(`last lines ${job.id}`, () => unwrap(api.GET("/jobs/{job_id}/logs", { params })));
  const [many, setMany] = useState(false);
  const lines = data?.items ?? [];
  if (lines.length === 0) return null;
  const shown = many ? lines : lines.slice(-FEW);
  return (
    <div>
      <h3>Last lines of the log</h3>
      <LogLines lines={shown} search="" />
      {lines.length > FEW && (
        <button type="button" className="button small ghost" onClick={() => setMany(!many)}>
          {many ? "Fewer" : "More"}
        </button>
      )}
    </div>
  );
}
