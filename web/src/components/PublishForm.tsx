import { type FormEvent, useState } from "react";

import { api, unwrap } from "../api/client";
import type { Job, Target } from "../api/types";
import { usePoll } from "../hooks/usePoll";
import { ask, parse, type Schema } from "../lib/schema";
import { SchemaField } from "./SchemaField";
import { SecretField } from "./SecretField";
import { useSay, useTry } from "./Toasts";

/** Asks what the chosen target's schema has, and for a secret where it takes credentials. */
export function PublishForm({ job, onAsked }: { job: Job; onAsked: () => void }) {
  const targets = usePoll("publication targets", () => unwrap(api.GET("/catalogue/targets")));
  const [chosen, setChosen] = useState("huggingface");
  const [texts, setTexts] = useState<Record<string, string>>({});
  const [secret, setSecret] = useState("");
  const [busy, setBusy] = useState(false);
  const attempt = useTry();
  const say = useSay();
  const target = targets.data?.items.find(({ name }) => name === chosen);
  if (!target) return null;

  async function publish(event: FormEvent): Promise<void> {
    event.preventDefault();
    if (!target) return;
    setBusy(true);
    const body = { target: chosen, parameters: given(target, texts), secret: secret || null, again: false };
    const made = await attempt(() => unwrap(api.POST("/jobs/{job_id}/publish", { params: { path: { job_id: job.id } }, body })));
    setBusy(false);
    if (made) say(made.status === "succeeded" ? `This was published to ${chosen} before.` : `Publishing to ${chosen} is queued.`);
    onAsked();
  }

  return (
    <form className="fields-stack spaced" onSubmit={(event) => void publish(event)}>
      <div className="row wrap">
        <select
          aria-label="Target"
          value={chosen}
          onChange={(event) => {
            setChosen(event.target.value);
            setTexts({});
            setSecret("");
          }}
        >
          {targets.data?.items.map(({ name }) => (
            <option key={name}>{name}</option>
          ))}
        </select>
        <span className="muted small">{target.summary}</span>
      </div>
      {Object.keys(target.parameters).length > 0 && (
        <div className="fields">
          {Object.entries(target.parameters).map(([name, schema]) => (
            <SchemaField key={`${chosen} ${name}`} name={name} schema={schema as Schema} unset={"default" in schema ? "" : "required"} value={texts[name] ?? ""} onChange={(text) => setTexts({ ...texts, [name]: text })} />
          ))}
        </div>
      )}
      {Object.keys(target.credentials).length > 0 && <SecretField key={chosen} target={target} value={secret} onChange={setSecret} />}
      <div>
        <button type="submit" className="button" disabled={busy}>
          Publish
        </button>
      </div>
    </form>
  );
}

function given(target: Target, texts: Record<string, string>): Record<string, unknown> {
  const filled = Object.entries(texts).filter(([, text]) => text.trim() !== "");
  return Object.fromEntries(filled.map(([name, text]) => [name, parse(ask((target.parameters[name] ?? {}) as Schema), text)]));
}
