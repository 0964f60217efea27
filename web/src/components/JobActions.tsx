import { useState } from "react";

import { api, unwrap } from "../api/client";
import type { Job } from "../api/types";
import { isActive } from "../api/types";
import { useAlone } from "../hooks/useAlone";
import { title } from "../lib/jobs";
import { useTasks } from "../hooks/useTasks";
import { studentFile } from "../lib/tasks";
import { navigate } from "../router";
import { Dialog } from "./Dialog";
import { Icon } from "./Icon";
import { useSay, useTry } from "./Toasts";

type Action = "cancel" | "stop" | "delete";

interface Wording {
  title: string;
  text: string;
  confirm: string;
  done: string;
}

const WORDS: Record<Action, Wording> = {
  stop: {
    title: "Stop training and keep the best student?",
    text: "Training ends after the current step. The student that was best in validation so far is evaluated, packaged and kept, and the job ends as succeeded.",
    confirm: "Stop and keep best",
    done: "Stopping: the best student so far will be kept.",
  },
  cancel: {
    title: "Cancel this job?",
    text: "The trainer is ended and no student is kept, not even a partial one. The Q curve, metrics and log so far stay readable. This cannot be undone.",
    confirm: "Cancel the job",
    done: "Cancelling.",
  },
  delete: {
    title: "Delete this job?",
    text: "Its history, log, checkpoints and every file it made are removed from the store. This cannot be undone.",
    confirm: "Delete",
    done: "Deleted.",
  },
};

async function send(action: Action, id: string): Promise<void> {
  const params = { params: { path: { job_id: id } } };
  if (action === "stop") await unwrap(api.POST("/jobs/{job_id}/stop", params));
  else if (action === "cancel") await unwrap(api.POST("/jobs/{job_id}/cancel", params));
  else await unwrap(api.DELETE("/jobs/{job_id}", params).then((answer) => ({ ...answer, data: true })));
}

interface Props {
  job: Job;
  onChange: () => void;
}

function useAction({ job, onChange }: Props) {
  const [asking, setAsking] = useState<Action | null>(null);
  const [busy, setBusy] = useState(false);
  const say = useSay();
  const attempt = useTry();

  async function run(action: Action): Promise<void> {
    setBusy(true);
    const ok = await attempt(() => send(action, job.id).then(() => true));
    setBusy(false);
    setAsking(null);
    if (!ok) return;
    say(WORDS[action].done);
    onChange();
  }

  const dialog = asking && (
    <Dialog title={WORDS[asking].title} confirm={WORDS[asking].confirm} tone={asking === "stop" ? "primary" : "danger"} busy={busy} onConfirm={() => void run(asking)} onClose={() => setAsking(null)}>
      <p>
        <strong>{title(job)}</strong>
      </p>
      <p>{WORDS[asking].text}</p>
    </Dialog>
  );
  return { ask: setAsking, dialog };
}

/** The list's actions: end what runs, remove what has ended. */
export function RowActions(props: Props) {
  const { ask, dialog } = useAction(props);
  const { job } = props;
  return (
    <>
      {"cancel" in job.links && job.status !== "cancelling" && (
        <button type="button" className="button ghost icon-only" aria-label={`Cancel ${title(job)}`} title="Cancel" onClick={() => ask("cancel")}>
          <Icon name="cancel" />
        </button>
      )}
      {!isActive(job.status) && (
        <button type="button" className="button ghost icon-only" aria-label={`Delete ${title(job)}`} title="Delete" onClick={() => ask("delete")}>
          <Icon name="trash" />
        </button>
      )}
      {dialog}
    </>
  );
}

/** A finished student can teach another. */
function AsTeacher({ job }: { job: Job }) {
  const [busy, setBusy] = useState(false);
  const attempt = useTry();
  const tasks = useTasks();
  async function register(): Promise<void> {
    setBusy(true);
    const body = { artifact: { job_id: job.id, name: studentFile(tasks, job) }, name: title(job) };
    const made = await attempt(() => unwrap(api.POST("/teachers", { body: body as never })));
    setBusy(false);
    if (made) navigate(`/teachers/${made.id}`);
  }
  return (
    <button type="button" className="button" disabled={busy} title="Register this job's student as a teacher" onClick={() => void register()}>
      {busy ? "Registering…" : "Use as a teacher"}
    </button>
  );
}

/** The job page's actions. Only those that the service offers now (`links`). */
export function JobActions(props: Props & { onRetried: () => void }) {
  const { job, onRetried } = props;
  const { ask, dialog } = useAction({ job, onChange: () => (isActive(job.status) ? props.onChange() : navigate("/")) });
  const attempt = useTry();
  const alone = useAlone();
  const say = useSay();
  const act = (action: "pause" | "resume", done: string): Promise<unknown> =>
    attempt(async () => {
      await unwrap(api.POST(`/jobs/{job_id}/${action}`, { params: { path: { job_id: job.id } } }));
      say(done);
      if (action === "resume") onRetried();
      else props.onChange();
    });
  const retry = (): Promise<unknown> =>
    attempt(async () => {
      await unwrap(api.POST("/jobs/{job_id}/retry", { params: { path: { job_id: job.id } } }));
      onRetried();
    });
  return (
    <>
      {"stop" in job.links && (
        <button type="button" className="button" title="End training now; the best student so far is evaluated and kept" onClick={() => ask("stop")}>
          <Icon name="stop" size={16} /> Stop and keep best
        </button>
      )}
      {"pause" in job.links && (
        <button type="button" className="button" title="Free the worker and keep the training state; resume goes on from it" onClick={() => void alone(() => act("pause", "Pausing: the training state is kept."))}>
          Pause
        </button>
      )}
      {"resume" in job.links && (
        <button type="button" className="button primary" title="Queue it again; it goes on from its last checkpoint" onClick={() => void alone(() => act("resume", "Queued again."))}>
          Resume
        </button>
      )}
      {"cancel" in job.links && job.status !== "cancelling" && (
        <button type="button" className="button danger-quiet" title="End the job; no student is kept" onClick={() => ask("cancel")}>
          <Icon name="cancel" size={16} /> Cancel
        </button>
      )}
      {"retry" in job.links && (
        <button type="button" className="button primary" title="Queue it again; it goes on from its last checkpoint" onClick={() => void alone(retry)}>
          <Icon name="retry" size={16} /> Retry
        </button>
      )}
      {"student" in job.links && <AsTeacher job={job} />}
      {"extend" in job.links && (
        <button type="button" className="button" title="A new job whose student starts from this one's" onClick={() => navigate(`/new?from=${job.id}&extend=1`)}>
          Go on
        </button>
      )}
      <button type="button" className="button" title="A new job that starts from this one's settings" onClick={() => navigate(`/new?from=${job.id}`)}>
        <Icon name="copy" size={16} /> Clone
      </button>
      <button type="button" className="button" title="A study that varies this job" onClick={() => navigate(`/studies/new?job=${job.id}`)}>
        Vary…
      </button>
      {!isActive(job.status) && (
        <button type="button" className="button ghost icon-only" aria-label="Delete this job" title="Delete" onClick={() => ask("delete")}>
          <Icon name="trash" />
        </button>
      )}
      {dialog}
    </>
  );
}
