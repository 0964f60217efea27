import { type FormEvent, useRef, useState } from "react";

import { api, unwrap } from "../api/client";
import type { Dataset, Teacher } from "../api/types";
import { forget, type Progress, type Purpose, sendFile } from "../api/upload";
import { pairs } from "../lib/draft";
import { bytes, duration } from "../lib/format";
import { ArchitecturePicker } from "./ArchitecturePicker";
import { FileDrop } from "./FileDrop";
import { Bar } from "./Layout";
import { Problem } from "./Problem";

interface Sending extends Progress {
  startedAt: number;
  /** How much there was when this page began to send: the pace is that of the rest. */
  from: number;
  registering: boolean;
}

/** Sends files one after the other, then registers them; one button stops it, and the same file goes on later. */
function useUpload<T>(purpose: Purpose, onDone: (made: T) => void) {
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

function Sent({ sending, onStop }: { sending: Sending; onStop: () => void }) {
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

function Stopped({ at }: { at: number | null }) {
  if (at === null) return null;
  return <p className="muted small">Stopped at {Math.round(100 * at)} %. Send the same file again to go on where it was.</p>;
}

export function TeacherUpload({ onDone }: { onDone: (made: Teacher) => void }) {
  const [file, setFile] = useState<File | null>(null);
  const [architecture, setArchitecture] = useState("");
  const [given, setGiven] = useState("");
  const [name, setName] = useState("");
  const { sending, error, stoppedAt, send, stop } = useUpload<Teacher>("teacher", onDone);

  function submit(event: FormEvent): void {
    event.preventDefault();
    if (!file) return;
    const rest = { architecture, options: pairs(given), name: name || file.name.replace(/\.[^.]+$/, ""), labels: {} };
    void send([file], ([upload = ""]) => unwrap(api.POST("/teachers", { body: { upload, ...rest } as never })) as Promise<Teacher>);
  }

  return (
    <form className="upload" onSubmit={submit}>
      <FileDrop label="Drop a checkpoint here, or choose one" hint="safetensors, a torch.save file (.pt, .pth, .bin), or a zip or tar of shards" accept=".safetensors,.pt,.pth,.bin,.zip,.tar,.tgz,.gz" file={file} onFile={setFile} />
      <ArchitecturePicker label="Its architecture" value={architecture} onChange={setArchitecture} />
      <div className="grid2">
        <label className="field">
          <span>Options</span>
          <input value={given} onChange={(event) => setGiven(event.target.value)} placeholder="width=16" autoComplete="off" />
        </label>
        <label className="field">
          <span>Name</span>
          <input value={name} onChange={(event) => setName(event.target.value)} placeholder={file?.name.replace(/\.[^.]+$/, "") ?? "resnet34 on our photographs"} maxLength={200} />
        </label>
      </div>
      {error !== null && <Problem error={error} />}
      <Stopped at={stoppedAt} />
      {sending ? (
        <Sent sending={sending} onStop={stop} />
      ) : (
        <button type="submit" className="button primary" disabled={!file || !architecture}>
          Register teacher
        </button>
      )}
    </form>
  );
}

export function DatasetUpload({ onDone }: { onDone: (made: Dataset) => void }) {
  const [whole, setWhole] = useState<File | null>(null);
  const [test, setTest] = useState<File | null>(null);
  const [split, setSplit] = useState(false);
  const [name, setName] = useState("");
  const { sending, error, stoppedAt, send, stop } = useUpload<Dataset>("dataset", onDone);

  function submit(event: FormEvent): void {
    event.preventDefault();
    if (!whole) return;
    const called = name || whole.name.replace(/(\.(zip|tar|tgz|parquet|gz|csv|tsv|jsonl|ndjson))+$/, "");
    const roles = split ? ["train", "test"] : ["upload"];
    const files = split && test ? [whole, test] : [whole];
    void send(files, (ids) => {
      const body = { name: called, ...Object.fromEntries(ids.map((id, at) => [roles[at], id])) };
      return unwrap(api.POST("/datasets", { body: body as never })) as Promise<Dataset>;
    });
  }

  const accept = ".zip,.tar,.tgz,.tar.gz,.parquet,.csv,.tsv,.jsonl,.ndjson";
  const hint = "zip or tar with a folder per class or a table of labels, image parquet, CSV or JSON Lines with base64 images";
  return (
    <form className="upload" onSubmit={submit}>
      <FileDrop label={split ? "Training part" : "Drop a dataset here, or choose one"} hint={hint} accept={accept} file={whole} onFile={setWhole} />
      <label className="check">
        <input type="checkbox" checked={split} onChange={(event) => setSplit(event.target.checked)} /> I have a test part of my own
      </label>
      {split && <FileDrop label="Test part" hint={hint} accept={accept} file={test} onFile={setTest} />}
      <label className="field">
        <span>Name</span>
        <input value={name} onChange={(event) => setName(event.target.value)} placeholder={whole?.name ?? "our photographs"} maxLength={200} />
      </label>
      {error !== null && <Problem error={error} />}
      <Stopped at={stoppedAt} />
      {sending ? (
        <Sent sending={sending} onStop={stop} />
      ) : (
        <button type="submit" className="button primary" disabled={!whole || (split && !test)}>
          Register dataset
        </button>
      )}
    </form>
  );
}
