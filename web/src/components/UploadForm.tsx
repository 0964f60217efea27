import { type FormEvent, useState } from "react";

import { api, unwrap } from "../api/client";
import type { Dataset, Teacher } from "../api/types";
import { pairs } from "../lib/draft";
import { chosen, suggested, trouble } from "../lib/folder";
import { ArchitecturePicker } from "./ArchitecturePicker";
import { FileDrop } from "./FileDrop";
import { Problem } from "./Problem";
import { Sent, Stopped, useUpload } from "./Sending";

const CHECKPOINTS = ".safetensors,.pt,.pth,.bin,.zip,.tar,.tgz,.gz,.json,.txt,.jinja";
const CHECKPOINT_HINT =
  "safetensors, a torch.save file (.pt, .pth, .bin), or shards with their index; of a language model its Hugging Face folder: one zip, or config.json, safetensors and tokenizer.json together";

export function TeacherUpload({ onDone }: { onDone: (made: Teacher) => void }) {
  const [files, setFiles] = useState<File[]>([]);
  const [architecture, setArchitecture] = useState("");
  const [given, setGiven] = useState("");
  const [name, setName] = useState("");
  const { sending, error, stoppedAt, send, stop } = useUpload<Teacher>("teacher", onDone);
  const wrong = trouble(files, architecture);
  const called = files.length === 1 ? files[0]!.name.replace(/\.[^.]+$/, "") : "";

  function take(all: File[]): void {
    const kept = chosen(all);
    setFiles(kept);
    if (!architecture) setArchitecture(suggested(kept));
  }
  function submit(event: FormEvent): void {
    event.preventDefault();
    const rest = { architecture, options: pairs(given), name: name || called, labels: {} };
    const sent = (ids: string[]) => (ids.length === 1 ? { upload: ids[0] } : { uploads: ids });
    void send(files, (ids) => unwrap(api.POST("/teachers", { body: { ...sent(ids), ...rest } as never })) as Promise<Teacher>);
  }

  return (
    <form className="upload" onSubmit={submit}>
      <FileDrop label="Drop a checkpoint here, or choose its files" hint={CHECKPOINT_HINT} accept={CHECKPOINTS} files={files} many onFiles={take} />
      <ArchitecturePicker label="Its architecture" value={architecture} onChange={setArchitecture} />
      <p className="help">
        <code>transformers:auto</code> for a language model: its config.json says the rest.
      </p>
      {wrong && (
        <p className="help error" role="alert">
          {wrong}
        </p>
      )}
      <div className="grid2">
        <label className="field">
          <span>Options</span>
          <input value={given} onChange={(event) => setGiven(event.target.value)} placeholder="width=16" autoComplete="off" />
        </label>
        <label className="field">
          <span>Name</span>
          <input value={name} onChange={(event) => setName(event.target.value)} placeholder={called || "resnet34 on our photographs"} maxLength={200} />
        </label>
      </div>
      {error !== null && <Problem error={error} />}
      <Stopped at={stoppedAt} />
      {sending ? (
        <Sent sending={sending} onStop={stop} />
      ) : (
        <button type="submit" className="button primary" disabled={files.length === 0 || !architecture || wrong !== ""}>
          Register teacher
        </button>
      )}
    </form>
  );
}

export function DatasetUpload({ onDone }: { onDone: (made: Dataset) => void }) {
  const [whole, setWhole] = useState<File[]>([]);
  const [test, setTest] = useState<File[]>([]);
  const [split, setSplit] = useState(false);
  const [name, setName] = useState("");
  const { sending, error, stoppedAt, send, stop } = useUpload<Dataset>("dataset", onDone);

  function submit(event: FormEvent): void {
    event.preventDefault();
    const [first] = whole;
    if (!first) return;
    const called = name || first.name.replace(/(\.(zip|tar|tgz|parquet|gz|csv|tsv|jsonl|ndjson))+$/, "");
    const roles = split ? ["train", "test"] : ["upload"];
    void send(split ? [...whole, ...test] : whole, (ids) => {
      const body = { name: called, ...Object.fromEntries(ids.map((id, at) => [roles[at], id])) };
      return unwrap(api.POST("/datasets", { body: body as never })) as Promise<Dataset>;
    });
  }

  const accept = ".zip,.tar,.tgz,.tar.gz,.parquet,.csv,.tsv,.jsonl,.ndjson,.json,.gz";
  const hint = "images: zip or tar with a folder per class or a table of labels, parquet, CSV or JSON with base64; texts: CSV, JSON Lines, a JSON array or parquet";
  return (
    <form className="upload" onSubmit={submit}>
      <FileDrop label={split ? "Training part" : "Drop a dataset here, or choose one"} hint={hint} accept={accept} files={whole} onFiles={setWhole} />
      <label className="check">
        <input type="checkbox" checked={split} onChange={(event) => setSplit(event.target.checked)} /> I have a test part of my own
      </label>
      {split && <FileDrop label="Test part" hint={hint} accept={accept} files={test} onFiles={setTest} />}
      <TextColumns />
      <label className="field">
        <span>Name</span>
        <input value={name} onChange={(event) => setName(event.target.value)} placeholder={whole[0]?.name ?? "our photographs"} maxLength={200} />
      </label>
      {error !== null && <Problem error={error} />}
      <Stopped at={stoppedAt} />
      {sending ? (
        <Sent sending={sending} onStop={stop} />
      ) : (
        <button type="submit" className="button primary" disabled={whole.length === 0 || (split && test.length === 0)}>
          Register dataset
        </button>
      )}
    </form>
  );
}

/** Tables of texts are told by their columns; these are the ones. */
function TextColumns() {
  return (
    <details className="columns-help">
      <summary>Which columns a table of texts has</summary>
      <ul className="small">
        <li>
          Labelled texts: <code>text</code>, <code>label</code>
        </li>
        <li>
          Labelled pairs: <code>sentence1</code>, <code>sentence2</code>, <code>label</code> (or <code>premise</code>, <code>hypothesis</code>; <code>question1</code>, <code>question2</code>)
        </li>
        <li>
          Instructions: <code>instruction</code>, <code>output</code>, and where there is one <code>input</code>; a <code>label</code> is optional
        </li>
        <li>
          Conversations: <code>messages</code>, a list of role and content, the last by the assistant (JSON Lines, parquet)
        </li>
      </ul>
    </details>
  );
}
