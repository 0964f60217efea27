import { useEffect, useRef, useState } from "react";

import { follow, type Mode } from "../live/follow";

/** Together come: the events of one step of the study. */
const PAUSE_MS = 300;

/** Calls `onChange` whenever something has happened in a study that goes on; how its events come. */
export function useStudyEvents(id: string, active: boolean, onChange: () => void): Mode {
  const [mode, setMode] = useState<Mode>("connecting");
  const latest = useRef(onChange);
  latest.current = onChange;

  useEffect(() => {
    if (!active) return undefined;
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | null = null;
    const changed = (): void => {
      timer ??= setTimeout(() => {
        timer = null;
        latest.current();
      }, PAUSE_MS);
    };
    const handlers = { onEvents: changed, onProgress: changed, onHeard: () => undefined, onMode: setMode };
    follow(`/studies/${encodeURIComponent(id)}/events`, 0, handlers, abort.signal)
      .then(() => !abort.signal.aborted && changed())
      .catch(() => !abort.signal.aborted && setMode("waiting"));
    return () => {
      abort.abort();
      if (timer !== null) clearTimeout(timer);
    };
  }, [id, active]);

  return mode;
}
