import type { ProblemError } from "../api/problem";
import { isActive, type Job, waits } from "../api/types";
import { useContact, useNow } from "../hooks/useNow";
import { ago } from "../lib/format";
import type { Live } from "../live/useJobHistory";

interface Props {
  job: Job;
  live: Live;
  problem: ProblemError | null;
}

const SILENT_MS = 30_000;

/** Two separate truths: whether this page hears the service, and whether the service hears the worker. */
export function LiveNote({ job, live, problem }: Props) {
  const now = useNow();
  const { clockOffset } = useContact();
  if (!isActive(job.status)) return null;
  const here = now - clockOffset;
  const heard = live.heardAt === null ? "nothing heard yet" : `last update ${ago(live.heardAt, here)}`;
  const silent = job.heartbeat_at !== null && now - Date.parse(job.heartbeat_at) > SILENT_MS;
  const lost = problem !== null || live.mode === "waiting";
  return (
    <p className={lost ? "live bad" : "live"} data-mode={live.mode} role={lost ? "status" : undefined}>
      <span className="dot" aria-hidden="true" />
      {MODES[live.mode]}, {heard}
      {job.heartbeat_at && !waits(job.status) && <span className={silent ? "warn" : "muted"}>· worker last heard {ago(job.heartbeat_at, now)}</span>}
    </p>
  );
}

const MODES: Record<Live["mode"], string> = {
  connecting: "Connecting",
  live: "Live",
  polling: "Asking every few seconds, as no stream comes through",
  waiting: "Connection lost, trying again",
  ended: "Complete",
};
