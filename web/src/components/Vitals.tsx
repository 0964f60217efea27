import { api, unwrap } from "../api/client";
import { isActive, type Job, waits } from "../api/types";
import { Sparkline } from "../charts/Sparkline";
import { useNow } from "../hooks/useNow";
import { usePoll } from "../hooks/usePoll";
import { useTasks } from "../hooks/useTasks";
import { bytes, count, duration, MISSING } from "../lib/format";
import { progressOf } from "../lib/jobs";
import { capital, named, samplesOf } from "../lib/tasks";
import type { Live } from "../live/useJobHistory";

/** The few numbers one glances at: time, pace, memory, attempts. */
export function Vitals({ job, live }: { job: Job; live: Live }) {
  const now = useNow();
  const task = named(useTasks(), job.task);
  const active = isActive(job.status);
  const progress = progressOf(active ? (live.progress ?? job.progress) : job.progress);
  const { data } = usePoll(`attempts ${job.id} ${job.status} ${job.attempt}`, () => unwrap(api.GET("/jobs/{job_id}/attempts", { params: { path: { job_id: job.id } } })));
  const peak = Math.max(0, ...(data?.items ?? []).map((attempt) => attempt.peak_memory_bytes ?? 0));
  if (job.started_at === null) return null;
  const end = job.finished_at ? Date.parse(job.finished_at) : now;
  const rate = `${capital(samplesOf(task))} per second`;
  const speed = live.speeds.at(-1) ?? progress.samplesPerSecond;
  return (
    <dl className="vitals">
      <Vital name={waits(job.status) ? "Since its start" : active ? "Running for" : "Took"} value={duration((end - Date.parse(job.started_at)) / 1000)} />
      {active && progress.etaSeconds !== null && job.phase === "distilling" && <Vital name="Time left" value={duration(progress.etaSeconds)} />}
      {progress.totalSteps !== null && <Vital name="Steps" value={count(progress.step)} note={`of ${count(progress.totalSteps)}`} />}
      {speed !== null && speed > 0 && (
        <Vital name={active ? rate : `${rate}, at the end`} value={count(speed)}>
          {live.speeds.length > 4 && <Sparkline width={84} height={22} points={live.speeds.map((y, at, all) => ({ x: at / (all.length - 1), y, marked: false }))} label={`${rate} since this page was opened`} />}
        </Vital>
      )}
      <Vital name="Peak memory" value={peak > 0 ? bytes(peak) : MISSING} note={peak === 0 && active ? "when an attempt ends" : ""} />
      <Vital name="Attempt" value={`${job.attempt}`} note={`of at most ${job.max_attempts}`} />
    </dl>
  );
}

function Vital({ name, value, note, children }: { name: string; value: string; note?: string; children?: React.ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        {value} {note && <span className="muted small">{note}</span>}
        {children}
      </dd>
    </div>
  );
}
