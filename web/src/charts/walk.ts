import type { KeyboardEvent } from "react";

/** Where an arrow key, Home or End leads among the places 0 to `last` of a chart, from `at` (-1: none); undefined for other keys. */
export function walked(event: KeyboardEvent, at: number, last: number, stride = 1): number | undefined {
  const steps: Record<string, number> = { ArrowRight: at < 0 ? 0 : at + stride, ArrowLeft: at < 0 ? last : at - stride, Home: 0, End: last };
  const next = steps[event.key];
  if (next === undefined) return undefined;
  event.preventDefault();
  return Math.min(Math.max(next, 0), last);
}
