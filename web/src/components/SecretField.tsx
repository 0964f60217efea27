import { useId, useState } from "react";

import { api, unwrap } from "../api/client";
import type { Target } from "../api/types";
import { usePoll } from "../hooks/usePoll";
import { words } from "../lib/format";
import { useTry } from "./Toasts";

interface Props {
  target: Target;
  value: string;
  onChange: (name: string) => void;
}

/** Which of the tenant's secrets has the credentials, or new ones. Values go in and never come out. */
export function SecretField({ target, value, onChange }: Props) {
  const id = useId();
  const { data, reload } = usePoll("secrets", () => unwrap(api.GET("/secrets")));
  const [making, setMaking] = useState(false);
  return (
    <div className="field">
      <label htmlFor={id}>Secret</label>
      <div className="row">
        <select id={id} value={value} onChange={(event) => onChange(event.target.value)}>
          <option value="">none</option>
          {data?.items.map(({ name }) => (
            <option key={name}>{name}</option>
          ))}
        </select>
        <button type="button" className="button" aria-expanded={making} onClick={() => setMaking(!making)}>
          New credentials
        </button>
      </div>
      {making && (
        <NewSecret
          target={target}
          onKept={(name) => {
            setMaking(false);
            reload();
            onChange(name);
          }}
        />
      )}
    </div>
  );
}

function NewSecret({ target, onKept }: { target: Target; onKept: (name: string) => void }) {
  const [name, setName] = useState(target.name);
  const [values, setValues] = useState<Record<string, string>>({});
  const attempt = useTry();
  const filled = Object.fromEntries(Object.entries(values).filter(([, text]) => text !== ""));

  async function keep(): Promise<void> {
    const path = { secret_name: name };
    const kept = await attempt(() => unwrap(api.PUT("/secrets/{secret_name}", { params: { path }, body: { value: filled } })));
    setValues({});
    if (kept) onKept(name);
  }

  return (
    <div className="fields-stack spaced">
      <label className="field">
        <span>Name</span>
        <input type="text" value={name} autoComplete="off" onChange={(event) => setName(event.target.value)} />
      </label>
      {Object.entries(target.credentials).map(([part, { description }]) => (
        <label className="field" key={part}>
          <span>{words(part)}</span>
          <input type="password" autoComplete="new-password" value={values[part] ?? ""} onChange={(event) => setValues({ ...values, [part]: event.target.value })} />
          <span className="help">{String(description)}</span>
        </label>
      ))}
      <div>
        <button type="button" className="button" disabled={!name || Object.keys(filled).length === 0} onClick={() => void keep()}>
          Keep
        </button>
      </div>
    </div>
  );
}
