import { type FormEvent, useRef, useState } from "react";

import { type Progress, upload } from "../api/upload";
import type { Dataset, Teacher } from "../api/types";
import { pairs } from "../lib/draft";
import { bytes, duration } from "../lib/format";
import { ArchitecturePicker } from "./ArchitecturePicker";
import { FileDrop } from "./FileDrop";
import { Bar } from "./Layout";
import { Problem } from "./Problem";

interface Sending extends Progress {
  startedAt: number;
}

/** Sends a form and tells how far it is; one button stops it. */
function useUpload<T>(path: string, onDone: (made: T) => void) {
  const [sending, setSending] = useState<Sending | null>(null);
  const [error, setError] = useState<unknown>(null);
  const abort = useRef<AbortController | null>(null);

  async function send(form: FormData): Promise<void> {
    const startedAt = Date.now();
    abort.current = new AbortController();
    setError(null);
    setSending({ sent: 0, total: 0, startedAt });
    try {
      onDone(await upload<T>(path, form, (progress) => setSending({ ...progress, startedAt }), abort.current.signal));
    } catch (thrown) {
      if (!(thrown instanceof DOMException)) setError(thrown);
    }
    setSending(null);
  }
  return { sending, error, send, stop: () => abort.current?.abort() };
}

function Sent({ sending, onStop }: { sending: Sending; onStop: () => void }) {
  const { sent, total, startedAt } = sending;
  const whole = total > 0 && sent >= total;
  const rate = sent / Math.max(0.5, (Date.now() - startedAt) / 1000);
  return (
    <div className="sending" role="status">
      <Bar fraction={total > 0 ? sent / total : 0} label="Upload" />
      <span className="grow small">
        {whole ? "Received. A worker reads it through, which takes a moment…" : `${bytes(sent)} of ${bytes(total)}, ${bytes(rate)}/s${rate > 0 ? `, ${duration((total - sent) / rate)} left` : ""}`}
      </span>
      {!whole && (
        <button type="button" className="button small" onClick={onStop}>
          Stop
        </button>
      )}
    </div>
  );
}

export function TeacherUpload({ onDone }: { onDone: (made: Teacher) => void }) {
  const [file, setFile] = useState<File | null>(null);
  const [architecture, setArchitecture] = useState("");
  const [given, setGiven] = useState("");
  const [name, setName] = useState("");
  const { sending, error, send, stop } = useUpload<Teacher>("/teachers", onDone);

  function submit(event: FormEvent): void {
    event.preventDefault();
    if (!file) return;
    const form = new FormData();
    form.set("architecture", architecture); // before the file, so that a wrong name costs no upload
    if (given.trim()) form.set("options", JSON.stringify(pairs(given)));
    form.set("name", name || file.name.replace(/\.safetensors$/, ""));
    form.set("file", file);
    void send(form);
  }

  return (
    <form className="upload" onSubmit={submit}>
      <FileDrop label="Drop a checkpoint here, or choose one" hint="safetensors" accept=".safetensors,.pt,.pth,.bin" file={file} onFile={setFile} />
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
  const { sending, error, send, stop } = useUpload<Dataset>("/datasets", onDone);

  function submit(event: FormEvent): void {
    event.preventDefault();
    if (!whole) return;
    const form = new FormData();
    form.set("name", name || whole.name.replace(/\.(zip|tar|tgz|parquet|gz)+$/, ""));
    form.set(split ? "train" : "file", whole);
    if (split && test) form.set("test", test);
    void send(form);
  }

  const accept = ".zip,.tar,.tgz,.tar.gz,.parquet";
  const hint = "zip or tar with one folder per class, or image parquet";
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
