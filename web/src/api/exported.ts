/** `ExportOut.result` is an open object in OpenAPI; this reads out of it what the page shows, and nothing it does not find. */
import { share, type Share } from "./result";
import type { Export } from "./types";

export interface Exported {
  figure: Share | null;
  /** What the file loses of the primary metric against torch's student; null where it was not judged. */
  drop: number | null;
  agreement: Share | null;
  bytes: number | null;
  /** Milliseconds at batch 1 and 32, of the file and of torch. */
  ms: [number | null, number | null];
  torchMs: [number | null, number | null];
  threads: number | null;
}

const at = (value: unknown, ...path: string[]): unknown => path.reduce<unknown>((found, key) => (typeof found === "object" && found !== null ? (found as Record<string, unknown>)[key] : undefined), value);
const number = (value: unknown): number | null => (typeof value === "number" && Number.isFinite(value) ? value : null);
const times = (value: unknown): [number | null, number | null] => [number(at(value, "latency", "1", "median_ms")), number(at(value, "latency", "32", "median_ms"))];

export function readExport({ result, torch }: Pick<Export, "result" | "torch">): Exported | null {
  if (!result) return null;
  return {
    figure: share(result.figure),
    drop: number(result.drop),
    agreement: share(result.agreement),
    bytes: number(result.bytes),
    ms: times(result),
    torchMs: times(torch),
    threads: number(at(result, "latency", "1", "threads")),
  };
}
