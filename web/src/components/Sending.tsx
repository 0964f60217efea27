import { useRef, useState } from "react";

import { forget, type Progress, type Purpose, sendFile } from "../api/upload";
import { bytes, duration } from "../lib/format";
import { Bar } from "./Layout";

interface Sending extends Progress {
  startedAt: number;
  /** How much there was when this page began to send: the pace is that of the rest. */
  from: number;
  registering: boolean;
}

/** Sends files one after the other, then registers them; one button stops it, and the same file goes on later. */
export function useUpload<T>(purpose: Purpose, onDone: (made: T) => void) {
  const [sending, setSending] = useState<Sending | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [stoppedAt, setStoppedAt] = useState<number | null>(null);
  const abort = useRef<AbortController | null>(null);

  async function send(files: File[], register: (ids: string[]) => Promise<T>): Promise<void> {
    const control = new AbortController();
    abort.current = control;
    setError(null);
    setStoppedAt(null);
    let last = 0;
    try {
      const ids: string[] = [];
      for (const file of files) {
        const startedAt = Date.now();
        let from = -1;
        const tell = (progress: Progress): void => {
          from = from < 0 ? progress.sent : from;
          last = progress.sent / Math.max(1, progress.total);
          setSending({ ...progress, startedAt, from, registering: false });
        };
        tell({ sent: 0, total: file.size, note: "" });
        from = -1;
        ids.push(await sendFile(file, purpose, tell, control.signal));
      }
      setSending((old) => old && { ...old, registering: true });
      const made = await register(ids);
      for (const file of files) forget(file, purpose);
      onDone(made);
    } catch (thrown) {
      if (control.signal.aborted) setStoppedAt(last);
      else setError(thrown);
    }
    setSending(null);
  }
  return { sending, error, stoppedAt, send, stop: () => abort.current?.abort() };
}

export function Sent({ sending, onStop }: { sending: Sending; onStop: () => void }) {
  return (
    <div className="sending" role="status">
      <Bar fraction={sending.total > 0 ? sending.sent / sending.total : 0} label="Upload" />
      <span className="grow small">{pace(sending)}</span>
      {!sending.registering && (
        <button type="button" className="button small" onClick={onStop}>
          Stop
        </button>
      )}
    </div>
  );
}

function pace({ sent, total, startedAt, from, note, registering }: Sending): string {
  if (registering) return "Received and verified. A worker reads it through, which takes a moment…";
  if (note === "verifying") return "Received. The service verifies what it has stored…";
  const rate = Math.max(0, sent - from) / Math.max(0.5, (Date.now() - startedAt) / 1000);
  const left = rate > 0 && !note ? `, ${bytes(Math.round(rate))}/s, ${duration((total - sent) / rate)} left` : "";
  return `${bytes(sent)} of ${bytes(total)}${left}${note ? `, ${note}` : ""}`;
}

export function Stopped({ at }: { at: number | null }) {
  if (at === null) return null;
  return <p className="muted small">Stopped at {Math.round(100 * at)} %. Send the same file again to go on where it was.</p>;
}
