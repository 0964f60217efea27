import { useCallback, useRef } from "react";

/** One run at a time: what is pressed again before the answer came is not sent a second time. */
export function useAlone(): <T>(work: () => Promise<T>) => Promise<T | undefined> {
  const running = useRef(false);
  return useCallback(async (work) => {
    if (running.current) return undefined;
    running.current = true;
    try {
      return await work();
    } finally {
      running.current = false;
    }
  }, []);
}
