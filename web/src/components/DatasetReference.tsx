import { type FormEvent, useState } from "react";

import { api, unwrap } from "../api/client";
import type { Dataset, System } from "../api/types";
import { useTasks } from "../hooks/useTasks";
import { BoxFormatField } from "./BoxFormat";
import { type PixelRange, PixelRangeField } from "./PixelRange";
import { Problem } from "./Problem";

const EXAMPLES: Record<System["dataset_references"][number], string> = {
  https: "https://data.example.org/flowers.zip",
  s3: "s3://bucket/flowers.zip",
  hf: "hf://datasets/OWNER/NAME@COMMIT/train.parquet",
};

interface Props {
  schemes: System["dataset_references"];
  onDone: (made: Dataset) => void;
}

/** A dataset that the service fetches itself, once, from where its operator allows. */
export function DatasetReference({ schemes, onDone }: Props) {
  const [url, setUrl] = useState("");
  const [sha256, setSha256] = useState("");
  const [test, setTest] = useState("");
  const [split, setSplit] = useState(false);
  const [name, setName] = useState("");
  const [range, setRange] = useState<PixelRange | null>(null);
  const [format, setFormat] = useState("");
  const tasks = useTasks();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    setBusy(true);
    setError(null);
    const whole = { url: url.trim(), ...(sha256.trim() ? { sha256: sha256.trim().toLowerCase() } : {}) };
    const files = split ? { train_reference: whole, test_reference: { url: test.trim() } } : { reference: whole };
    try {
      onDone((await unwrap(api.POST("/datasets", { body: { ...files, name, ...(range ? { pixel_range: range } : {}), ...(format ? { box_format: format } : {}) } as never }))) as Dataset);
    } catch (thrown) {
      setError(thrown);
    }
    setBusy(false);
  }

  const example = EXAMPLES[schemes[0] ?? "https"];
  return (
    <form className="upload" onSubmit={(event) => void submit(event)}>
      <label className="field">
        <span>{split ? "URL of the training part" : "URL"}</span>
        <input value={url} required inputMode="url" spellCheck={false} autoComplete="off" placeholder={example} maxLength={2000} onChange={(event) => setUrl(event.target.value)} />
        <span className="help">
          A worker fetches the file once and jobs run on that copy. The operator decides from where: here {schemes.map((each) => `${each}://`).join(", ")}.
        </span>
      </label>
      <label className="check">
        <input type="checkbox" checked={split} onChange={(event) => setSplit(event.target.checked)} /> I have a test part of my own
      </label>
      {split && (
        <label className="field">
          <span>URL of the test part</span>
          <input value={test} required inputMode="url" spellCheck={false} autoComplete="off" maxLength={2000} onChange={(event) => setTest(event.target.value)} />
        </label>
      )}
      <div className="grid2">
        <label className="field">
          <span>sha256, if you know it</span>
          <input value={sha256} pattern=" *[0-9a-fA-F]{64} *" title="64 hexadecimal digits" spellCheck={false} autoComplete="off" placeholder="refuses any other content" onChange={(event) => setSha256(event.target.value)} />
        </label>
        <label className="field">
          <span>Name</span>
          <input value={name} maxLength={200} placeholder="the file's" onChange={(event) => setName(event.target.value)} />
        </label>
      </div>
      <PixelRangeField onRange={setRange} />
      <BoxFormatField tasks={tasks} task="" value={format} onChange={setFormat} />
      {error !== null && <Problem error={error} />}
      <button type="submit" className="button primary" disabled={busy || !url.trim() || (split && !test.trim())}>
        {busy ? "Fetching and inspecting…" : "Fetch and register"}
      </button>
    </form>
  );
}
