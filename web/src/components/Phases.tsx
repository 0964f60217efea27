import { isActive, type Job, waits } from "../api/types";
import { useNow } from "../hooks/useNow";
import { between, clock, duration } from "../lib/format";
import { PHASES, progressOf } from "../lib/jobs";
import type { History, PhaseSpan } from "../live/history";
import { Bar } from "./Layout";

type State = "done" | "now" | "next" | "failed" | "skipped";
const WORDS: Record<State, string> = { done: "done", now: "in progress", next: "to come", failed: "ended here", skipped: "not reached" };

/** The job's way, with the time each part took; the newest attempt's where there were several. */
export function Phases({ job, history, scores }: { job: Job; history: History; scores: boolean }) {
  const now = useNow();
  const active = isActive(job.status) && !waits(job.status);
  const last = history.phases.at(-1)?.phase ?? job.phase ?? undefined; // the job's own where its events are gone
  const usual = { scoring: scores, choosing: job.recipe === "auto" } as Record<string, boolean>;
  const shown = PHASES.filter((phase) => (usual[phase] ?? true) || history.phases.some((span) => span.phase === phase));
  return (
    <ol className="phases" aria-label="Phases">
      {shown.map((phase) => {
        const spans = history.phases.filter((span) => span.phase === phase);
        const state = stateOf(job, phase, last, active);
        return (
          <li key={phase} className={`phase phase-${state}`} aria-current={state === "now" ? "step" : undefined}>
            <span className="phase-mark" aria-hidden="true" />
            <span className="phase-name">{phase}</span>
            <span className="visually-hidden">, {WORDS[state]}</span>
            <span className="phase-time" title={spans.map(span).join("\n")}>
              {spans.length > 0 ? duration(total(spans, now)) : "\u00a0"}
              {spans.length > 1 ? ` in ${spans.length} attempts` : ""}
            </span>
            {state === "now" && phase === "scoring" && history.frame && (
              <Bar fraction={history.layers.length / Math.max(1, history.frame.total_layers)} label="Layers scored" />
            )}
            {state === "now" && ["choosing", "distilling"].includes(phase) && progressOf(job.progress).fraction !== null && <Bar fraction={progressOf(job.progress).fraction ?? 0} label="Steps done" />}
          </li>
        );
      })}
    </ol>
  );
}

export function stateOf(job: Pick<Job, "status">, phase: string, last: string | undefined, active: boolean): State {
  if (job.status === "succeeded") return "done";
  const at = PHASES.indexOf(phase as (typeof PHASES)[number]);
  const reached = last === undefined ? -1 : PHASES.indexOf(last as (typeof PHASES)[number]);
  if (at < reached) return "done";
  if (at === reached) return active ? "now" : waits(job.status) ? "next" : "failed";
  return active || waits(job.status) ? "next" : "skipped";
}

const total = (spans: PhaseSpan[], now: number): number => spans.reduce((sum, each) => sum + between(each.startedAt, each.endedAt ?? now), 0);
const span = (each: PhaseSpan): string => `Attempt ${each.attempt}: ${clock(each.startedAt)} to ${each.endedAt ? clock(each.endedAt) : "now"}`;
