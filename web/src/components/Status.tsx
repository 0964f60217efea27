import type { Job, Status as StatusName } from "../api/types";

const LOOK: Record<StatusName, { mark: string; tone: string }> = {
  queued: { mark: "○", tone: "quiet" },
  running: { mark: "●", tone: "live" },
  pausing: { mark: "◐", tone: "warn" },
  paused: { mark: "❙❙", tone: "warn" },
  stopping: { mark: "◐", tone: "warn" },
  cancelling: { mark: "◐", tone: "warn" },
  succeeded: { mark: "✓", tone: "good" },
  failed: { mark: "✕", tone: "bad" },
  cancelled: { mark: "⊘", tone: "quiet" },
};

/** A state by word, mark and colour: any one of them is enough. */
export function Status({ status }: { status: StatusName }) {
  const { mark, tone } = LOOK[status];
  return (
    <span className={`status tone-${tone}`}>
      <span aria-hidden="true" className="status-mark">
        {mark}
      </span>
      {status}
    </span>
  );
}

const READINESS = { inspecting: "live", ready: "good", invalid: "bad", sampled: "quiet" } as const;

export function Readiness({ status }: { status: keyof typeof READINESS }) {
  const mark = { inspecting: "●", ready: "✓", invalid: "✕", sampled: "◐" }[status];
  return (
    <span className={`status tone-${READINESS[status]}`}>
      <span aria-hidden="true" className="status-mark">
        {mark}
      </span>
      {status}
    </span>
  );
}

/** What a status means when it is not self-evident. */
export function explain(job: Pick<Job, "status" | "queue_position" | "not_before">): string {
  if (job.status === "queued" && job.not_before) return "Waits before the next attempt.";
  if (job.status === "queued") return job.queue_position ? `${job.queue_position} ahead of it in the queue.` : "Next to start.";
  if (job.status === "pausing") return "The training state is being saved; then the worker is free.";
  if (job.status === "paused") return "Its training state is kept. Resume goes on from it.";
  if (job.status === "stopping") return "Training ends; the best student so far is kept and evaluated.";
  if (job.status === "cancelling") return "The trainer is being ended; nothing of its student is kept.";
  return "";
}
