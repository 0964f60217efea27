import { useCallback, useEffect, useState } from "react";

import { api, unwrap } from "../api/client";
import { asProblem, type ProblemError } from "../api/problem";
import type { LogLine } from "../api/types";

interface Log {
  lines: LogLine[];
  complete: boolean;
  problem: ProblemError | null;
}

const PAGE = 200;
const PAUSE_MS = 2000;

/** A job's log, page by page; with `live` the last page is asked for again and again as it grows. */
export function useLog(jobId: string, live: boolean): Log & { reload: () => void } {
  const [log, setLog] = useState<Log>({ lines: [], complete: false, problem: null });
  const [round, setRound] = useState(0);

  useEffect(() => {
    let gone = false;
    let timer: ReturnType<typeof setTimeout>;
    let cursor: string | undefined;
    let before: LogLine[] = []; // all pages but the last, which may still grow

    async function read(): Promise<void> {
      try {
        const params = { path: { job_id: jobId }, query: { cursor, limit: PAGE } };
        const page = await unwrap(api.GET("/jobs/{job_id}/logs", { params }));
        if (gone) return;
        const lines = before.concat(page.items);
        setLog((old) => (old.lines.length === lines.length && old.complete === !page.next_cursor && !old.problem ? old : { lines, complete: !page.next_cursor, problem: null }));
        if (page.next_cursor) {
          before = lines;
          cursor = page.next_cursor;
          return await read();
        }
      } catch (error) {
        if (!gone) setLog((old) => ({ ...old, problem: asProblem(error) }));
      }
      if (live && !gone) timer = setTimeout(() => void read(), PAUSE_MS);
    }

    void read();
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [jobId, live, round]);

  return { ...log, reload: useCallback(() => setRound((n) => n + 1), []) };
}
