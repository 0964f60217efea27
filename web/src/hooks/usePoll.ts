import { useCallback, useEffect, useRef, useState } from "react";

import { asProblem, type ProblemError } from "../api/problem";

export interface Polled<T> {
  /** The last good answer; stays while later ones fail. */
  data: T | undefined;
  problem: ProblemError | null;
  updatedAt: number | null;
  reload: () => void;
}

/** Load, and load again every `interval` ms while the page is visible (null: once). `key` tells questions apart. */
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
    async function run(): Promise<void> {
      clearTimeout(timer);
      if (!document.hidden || round === 0) {
        try {
          const data = await latest.current();
          if (!gone) setState({ key, data, problem: null, updatedAt: Date.now() });
        } catch (error) {
          const problem = asProblem(error);
          if (!gone) setState((old) => ({ key, data: old.key === key ? old.data : undefined, problem, updatedAt: old.updatedAt }));
        }
      }
      if (!gone && interval !== null) timer = setTimeout(() => void run(), interval);
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
