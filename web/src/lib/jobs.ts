import type { Curve, Job } from "../api/types";
import { bare, percent, words } from "./format";

export const title = (job: Pick<Job, "name" | "student" | "recipe">): string => job.name || `${bare(job.student.name)} by ${words(job.recipe)}`;

export interface Progress {
  fraction: number | null;
  step: number | null;
  totalSteps: number | null;
  samplesPerSecond: number | null;
  etaSeconds: number | null;
}

const number = (value: unknown): number | null => (typeof value === "number" && Number.isFinite(value) ? value : null);

export function progressOf(progress: Job["progress"]): Progress {
  return {
    fraction: number(progress?.fraction),
    step: number(progress?.step),
    totalSteps: number(progress?.total_steps),
    samplesPerSecond: number(progress?.images_per_second),
    etaSeconds: number(progress?.eta_seconds),
  };
}

export const PHASES = ["fetching", "choosing", "scoring", "distilling", "evaluating", "packaging", "uploading"] as const;

/** The recipe that a job trains by: what was chosen, where that was left open and is known. */
export const recipeOf = (job: Pick<Job, "recipe" | "choice">): string => String(job.choice?.recipe || job.recipe);

/** The curve for a reader: where it peaks and what was chosen. */
export function curveLabel(curve: Pick<Curve, "layers" | "chosen" | "total_layers">): string {
  const best = curve.layers.reduce<Curve["layers"][number] | null>((top, each) => (top && top.quality >= each.quality ? top : each), null);
  if (!best) return "Q curve: no layer is scored yet";
  const scored = `${curve.layers.length} of ${curve.total_layers ?? "?"} layers scored`;
  return `Q curve, ${scored}, highest at ${best.name} (depth ${percent(best.relative_depth, 0)}), ${curve.chosen.length} chosen`;
}

/** Words of a search, all of which must be in the job somewhere. */
export function matches(job: Job, search: string, names: Map<string, string>): boolean {
  const labels = Object.entries(job.labels).map(([name, value]) => `${name}:${value}`);
  const haystack = [job.id, job.name, job.recipe, job.status, job.student.name, names.get(job.teacher ?? ""), names.get(job.dataset), ...labels]
    .join(" ")
    .toLowerCase();
  return search.toLowerCase().split(/\s+/).filter(Boolean).every((word) => haystack.includes(word));
}
