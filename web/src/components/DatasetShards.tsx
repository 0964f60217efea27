import { type FormEvent, useState } from "react";

import { api, unwrap } from "../api/client";
import type { Dataset, System } from "../api/types";
import { Problem } from "./Problem";
import { classesTold, lines, ShardClasses } from "./ShardClasses";

const EXAMPLES: Record<System["dataset_references"][number], string> = {
  https: "https://data.example.org/photos/{000000..001281}.tar",
  s3: "s3://bucket/photos/train-*.tar",
  hf: "hf://datasets/OWNER/NAME@COMMIT/data/train-*.parquet",
};

const READINGS: Record<string, { decode?: "all"; inspection?: "sample" }> = { decode: { decode: "all" }, sample: { inspection: "sample" } };

interface Props {
  schemes: System["dataset_references"];
  onDone: (made: Dataset) => void;
}

/** A dataset that stays where it lies: a worker reads it once, jobs fetch a shard when they first need it. */
export function DatasetShards({ schemes, onDone }: Props) {
  const [shards, setShards] = useState("");
  const [test, setTest] = useState("");
  const [classes, setClasses] = useState("");
  const [from, setFrom] = useState("");
  const [reading, setReading] = useState("");
  const [name, setName] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    setBusy(true);
    setError(null);
    const given = test.trim() ? { train_shards: lines(shards), test_shards: lines(test) } : { shards: lines(shards) };
    try {
      const body = { mode: "stream", ...given, name, ...classesTold(classes, from), ...(READINGS[reading] ?? {}) };
      onDone((await unwrap(api.POST("/datasets", { body: body as never }))) as Dataset);
    } catch (thrown) {
      setError(thrown);
    }
    setBusy(false);
  }

  return (
    <form className="upload" onSubmit={(event) => void submit(event)}>
      <label className="field">
        <span>Shards</span>
        <textarea value={shards} required rows={3} spellCheck={false} placeholder={EXAMPLES[schemes[0] ?? "https"]} onChange={(event) => setShards(event.target.value)} />
        <span className="help">
          WebDataset tars or parquet: braces, a folder of a bucket, a list, or a URL a line. They stay where they lie; workers read all of them once. The operator decides from where: here{" "}
          {schemes.map((each) => `${each}://`).join(", ")}.
        </span>
      </label>
      <label className="field">
        <span>Shards that test, if they are apart</span>
        <textarea value={test} rows={2} spellCheck={false} onChange={(event) => setTest(event.target.value)} />
      </label>
      <ShardClasses classes={classes} from={from} onClasses={setClasses} onFrom={setFrom} />
      <label className="field">
        <span>Reading</span>
        <select value={reading} onChange={(event) => setReading(event.target.value)}>
          <option value="">every byte; some images are decoded</option>
          <option value="decode">every byte; every image is decoded</option>
          <option value="sample">a sample first; the rest when you ask for it</option>
        </select>
      </label>
      <label className="field">
        <span>Name</span>
        <input value={name} maxLength={200} placeholder="the folder's" onChange={(event) => setName(event.target.value)} />
      </label>
      {error !== null && <Problem error={error} />}
      <button type="submit" className="button primary" disabled={busy || !shards.trim()}>
        {busy ? "Reading all shards…" : "Register"}
      </button>
    </form>
  );
}
