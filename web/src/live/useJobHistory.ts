import { useEffect, useRef, useState } from "react";

import { asProblem, type ProblemError } from "../api/problem";
import { follow, type Mode } from "./follow";
import { add, emptyHistory, type History } from "./history";

export interface Live {
  history: History;
  /** Changes whenever the history has grown; the history itself is one mutable object. */
  version: number;
  mode: Mode;
  problem: ProblemError | null;
  /** This machine's time of the last sign of life, heartbeats included. */
  heardAt: number | null;
  progress: Record<string, unknown> | null;
  speeds: number[];
}

const SPEEDS = 240;
/** A long history is drawn less often while it comes in: each drawing costs time in proportion to its length. */
const MANY = 4000;
const MANY_PAUSE_MS = 400;

/** A job's history from its first event on, kept up to date. Draws at most once a frame. */
export function useJobHistory(jobId: string, restart: number): Live {
  const history = useRef(emptyHistory());
  const [live, setLive] = useState<Live>(() => fresh(history.current));

  useEffect(() => {
    const abort = new AbortController();
    history.current = emptyHistory();
    let next: Live = fresh(history.current);
    let cancel: (() => void) | null = null;
    const draw = (change: Partial<Live>): void => {
      next = { ...next, ...change, version: history.current.version };
      cancel ??= soon(history.current.lastSeq > MANY, () => {
        cancel = null;
        setLive(next);
      });
    };
    const handlers = {
      onEvents: (events: Parameters<typeof add>[1][]) => {
        for (const event of events) add(history.current, event);
        draw({ heardAt: Date.now() });
      },
      onProgress: (progress: Record<string, unknown>) => {
        const speed = progress.images_per_second;
        const speeds = typeof speed === "number" && speed > 0 ? [...next.speeds.slice(1 - SPEEDS), speed] : next.speeds;
        draw({ progress, speeds });
      },
      onHeard: () => draw({ heardAt: Date.now() }),
      onMode: (mode: Mode, problem: ProblemError | null) => draw({ mode, problem }),
    };
    setLive(next);
    follow(`/jobs/${encodeURIComponent(jobId)}/events`, 0, handlers, abort.signal).catch((error: unknown) => {
      if (!abort.signal.aborted) draw({ mode: "ended", problem: asProblem(error) });
    });
    return () => {
      abort.abort();
      cancel?.();
    };
  }, [jobId, restart]);

  return live;
}

function soon(late: boolean, work: () => void): () => void {
  if (late) {
    const timer = setTimeout(work, MANY_PAUSE_MS);
    return () => clearTimeout(timer);
  }
  const frame = requestAnimationFrame(work);
  return () => cancelAnimationFrame(frame);
}

function fresh(history: History): Live {
  return { history, version: 0, mode: "connecting", problem: null, heardAt: null, progress: null, speeds: [] };
}
