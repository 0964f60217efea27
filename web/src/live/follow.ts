/** Follow a job's events: a stream that reconnects behind the last event, and pages where no stream comes through. */
import { reach } from "../api/client";
import { heard } from "../api/contact";
import { fromAnswer, type ProblemError, asProblem } from "../api/problem";
import { parser } from "../api/sse";
import type { JobEvent } from "../api/types";

export type Mode = "connecting" | "live" | "polling" | "waiting" | "ended";

export interface Handlers {
  onEvents: (events: JobEvent[]) => void;
  onProgress: (progress: Record<string, unknown>) => void;
  /** Something was heard, be it only a heartbeat. */
  onHeard: () => void;
  onMode: (mode: Mode, problem: ProblemError | null) => void;
}

export interface Timing {
  stalledMs: number;
  backOffMs: number[];
  pollMs: number;
  /** Streams that must fail in a row before pages take over. */
  failures: number;
  retryStreamMs: number;
  /** A stream closed sooner than this counts as failed. */
  shortMs: number;
}

export const TIMING: Timing = {
  stalledMs: 40_000, // the service beats every 15 s
  backOffMs: [500, 1000, 2000, 4000, 8000],
  pollMs: 3000,
  failures: 3,
  retryStreamMs: 60_000,
  shortMs: 300,
};

/** Runs until the job has ended or `signal` is aborted. Rejects only with problems that trying again cannot cure. */
export async function follow(path: string, after: number, handlers: Handlers, signal: AbortSignal, timing: Timing = TIMING): Promise<void> {
  let last = after;
  let failed = 0;
  const seen = (events: JobEvent[]): void => {
    last = events.at(-1)?.seq ?? last;
    handlers.onEvents(events);
  };
  while (!signal.aborted) {
    handlers.onMode("connecting", null);
    const before = Date.now();
    const outcome = await stream(path, last, { ...handlers, onEvents: seen }, signal, timing).catch((error: unknown) => asProblem(error));
    if (signal.aborted) return;
    if (outcome === "ended") return handlers.onMode("ended", null);
    if (outcome !== "closed" && isFinal(outcome)) throw outcome;
    // A proxy that closes every stream at once must not be asked in a tight loop.
    failed = outcome === "closed" && Date.now() - before > timing.shortMs ? 0 : failed + 1;
    if (failed >= timing.failures && (await poll(path, () => last, { ...handlers, onEvents: seen }, signal, timing))) return;
    if (failed > 0) {
      handlers.onMode("waiting", outcome === "closed" ? null : outcome);
      await pause(timing.backOffMs[Math.min(failed, timing.backOffMs.length) - 1] ?? 8000, signal);
    }
  }
}

const isFinal = (error: ProblemError): boolean => [401, 403, 404, 422].includes(error.problem.status);

async function stream(path: string, after: number, handlers: Handlers, signal: AbortSignal, timing: Timing): Promise<"ended" | "closed"> {
  const abort = new AbortController();
  const stop = (): void => abort.abort();
  signal.addEventListener("abort", stop);
  let timer = setTimeout(stop, timing.stalledMs);
  try {
    const headers: Record<string, string> = { Accept: "text/event-stream" };
    if (after > 0) headers["Last-Event-ID"] = String(after);
    const response = await reach(path, { headers, signal: abort.signal, cache: "no-store" });
    if (response.status === 204) return "ended";
    if (!response.ok || !response.body) throw fromAnswer(response.status, await response.json().catch(() => undefined), path);
    if (!response.headers.get("content-type")?.startsWith("text/event-stream")) throw fromAnswer(502, undefined, path);
    handlers.onMode("live", null);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let batch: JobEvent[] = [];
    const feed = parser((message) => {
      const data = JSON.parse(message.data) as unknown;
      if (message.event === "progress") handlers.onProgress(data as Record<string, unknown>);
      else batch.push(data as JobEvent);
    });
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return "closed";
      clearTimeout(timer);
      timer = setTimeout(stop, timing.stalledMs);
      heard();
      handlers.onHeard();
      feed(value);
      if (batch.length > 0) handlers.onEvents(batch);
      batch = [];
    }
  } catch (error) {
    // A stream that breaks off after it has begun is the service going away, or one that has fallen silent.
    throw error instanceof DOMException || error instanceof TypeError ? fromAnswer(503, undefined, path) : error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
    abort.abort();
  }
}

/** Read pages until it is time to try a stream again. True when the job has ended. Silence counts as trying again. */
async function poll(path: string, last: () => number, handlers: Handlers, signal: AbortSignal, timing: Timing): Promise<boolean> {
  const until = Date.now() + timing.retryStreamMs;
  while (!signal.aborted && Date.now() < until) {
    try {
      const more = await page(path, last(), handlers);
      handlers.onMode("polling", null);
      if (!more) await pause(timing.pollMs, signal);
    } catch (error) {
      const problem = asProblem(error);
      if (isFinal(problem)) throw problem;
      return false;
    }
  }
  return signal.aborted;
}

async function page(path: string, after: number, handlers: Handlers): Promise<boolean> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (after > 0) headers["Last-Event-ID"] = String(after);
  const response = await reach(`${path}?limit=200`, { headers, cache: "no-store" });
  if (!response.ok) throw fromAnswer(response.status, await response.json().catch(() => undefined), path);
  const body = (await response.json()) as { items: JobEvent[]; next_cursor?: string | null };
  handlers.onHeard();
  if (body.items.length > 0) handlers.onEvents(body.items);
  return Boolean(body.next_cursor);
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}
