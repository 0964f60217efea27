import { loadCurve } from "../api/curve";
import { asProblem, type ProblemError } from "../api/problem";
import { type Curve, isActive, type Job } from "../api/types";
import { type History, restored } from "../live/history";
import { usePoll } from "./usePoll";

export interface Kept {
  /** The history, with the curve and the choice of layers where its events do not tell them. */
  history: History;
  pending: boolean;
  problem: ProblemError | null;
  reload: () => void;
}

/** An ended job's curve outlives its events. Without a job, or while its events tell the curve, nothing is asked. */
export function useKeptCurve(job: Job | undefined, history: History): Kept {
  const missing = job !== undefined && !isActive(job.status) && history.layers.length === 0;
  const { data, problem, reload } = usePoll(`kept curve ${job?.id} ${missing}`, () => (missing ? load(job.id) : Promise.resolve(null)));
  return { history: missing ? restored(history, job, data ?? null) : history, pending: missing && data === undefined && !problem, problem, reload };
}

/** Null for a recipe that uses no layers. */
async function load(id: string): Promise<Curve | null> {
  try {
    return await loadCurve(id);
  } catch (error) {
    if (asProblem(error).problem.code === "no_q_curve") return null;
    throw error;
  }
}
