import { useCallback, useEffect, useRef, useState } from "react";

import { asProblem, type ProblemError } from "../api/problem";

export interface Polled<T> {
  /** The last good answer; stays while later ones fail. */
  data: T | undefined;
  problem: ProblemError | null;
  updatedAt: number | null;
  reload: () => void;
}

/** Between two tries of what is loaded once and could not be: the service may be restarting. */
export const RETRY_MS = 5000;

/** Load, and load again every `interval` ms while the page is visible (null: once it has worked). `key` tells questions apart. */
export function usePoll<T>(key: string, load: () => Promise<T>, interval: number | null = null): Polled<T> {
  const [state, setState] = useState<{ key: string; data?: T; problem: ProblemError | null; updatedAt: number | null }>({
    key,
    problem: null,
    updatedAt: null,
  });
  const latest = useRef(load);
  latest.current = load;
  const [round, setRound] = useState(0);

  useEffect(() => {
    let gone = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let failing = false;
    async function run(): Promise<void> {
      clearTimeout(timer);
      if (!document.hidden || round === 0) {
        try {
          const data = await latest.current();
          failing = false;
          if (!gone) setState({ key, data, problem: null, updatedAt: Date.now() });
        } catch (error) {
          const problem = asProblem(error);
          failing = passes(problem);
          if (!gone) setState((old) => ({ key, data: old.key === key ? old.data : undefined, problem, updatedAt: old.updatedAt }));
        }
      }
      const pause = interval ?? (failing ? RETRY_MS : null);
      if (!gone && pause !== null) timer = setTimeout(() => void run(), pause);
    }
    const seen = (): void => {
      if (!document.hidden) void run();
    };
    void run();
    if (interval !== null) document.addEventListener("visibilitychange", seen);
    return () => {
      gone = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
    };
  }, [key, interval, round]);

  const reload = useCallback(() => setRound((n) => n + 1), []);
  const fresh = state.key === key;
  return { data: fresh ? state.data : undefined, problem: fresh ? state.problem : null, updatedAt: state.updatedAt, reload };
}

/** Whether trying again may cure it: no answer at all, or the service's own fault. */
const passes = ({ problem }: ProblemError): boolean => problem.retryable && (problem.status === 0 || problem.status >= 500);
