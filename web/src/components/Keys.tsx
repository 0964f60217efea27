import { type FormEvent, useState } from "react";

import { api, unwrap } from "../api/client";
import { apiKey } from "../api/key";
import { asProblem } from "../api/problem";
import type { components } from "../api/schema";
import { useAlone } from "../hooks/useAlone";
import { useNow } from "../hooks/useNow";
import { usePoll } from "../hooks/usePoll";
import { ago, clock, MISSING } from "../lib/format";
import { Copy } from "./Copy";
import { DeleteButton } from "./DeleteButton";
import { Card, Wide } from "./Layout";
import { Problem } from "./Problem";
import { useTry } from "./Toasts";

type Key = components["schemas"]["KeyOut"];
type Made = components["schemas"]["KeyCreated"];
const DAY = 86_400;
const LIVES: [string, string][] = [
  ["", "until it is revoked"],
  [String(30 * DAY), "30 days"],
  [String(365 * DAY), "a year"],
];

/** API keys, for who may see them: a service without keys has none, and a key without `admin` may not ask. */
export function Keys() {
  const { data, problem, reload } = usePoll("keys", () => unwrap(api.GET("/api-keys", { params: { query: { limit: 200 } } })));
  const [made, setMade] = useState<Made | null>(null);
  if (!apiKey() || problem?.problem.status === 403) return null;
  return (
    <Card title="API keys">
      {problem && <Problem error={problem} onRetry={reload} />}
      {made && (
        <div className="checked" role="status">
          <p>
            <b>{made.name}</b> is made. This is the only time that it is shown:
          </p>
          <p className="digest">
            <code>{made.key}</code>
            <Copy text={made.key} what="the new key" />
          </p>
        </div>
      )}
      {data && <List keys={data.items} onRevoked={reload} />}
      <Make
        onMade={(key) => {
          setMade(key);
          reload();
        }}
      />
    </Card>
  );
}

function List({ keys, onRevoked }: { keys: Key[]; onRevoked: () => void }) {
  const now = useNow();
  return (
    <Wide label="API keys">
      <table className="plain">
        <thead>
          <tr>
            <th scope="col">Key</th>
            <th scope="col">May</th>
            <th scope="col">Last used</th>
            <th scope="col">Ends</th>
            <th scope="col">
              <span className="visually-hidden">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {keys.map((key) => (
            <tr key={key.id}>
              <th scope="row">
                {key.name}
                <code className="muted small">{key.id}</code>
              </th>
              <td>{key.scopes.join(", ")}</td>
              <td className="nowrap">{key.last_used_at ? ago(key.last_used_at, now) : "never"}</td>
              <td className="nowrap">{key.expires_at ? clock(key.expires_at) : MISSING}</td>
              <td className="row end">
                <DeleteButton
                  what="key"
                  name={key.name}
                  verb="Revoke"
                  note="It opens nothing from the next request on. Programs that use it stop working."
                  remove={() => unwrap(api.DELETE("/api-keys/{key_id}", { params: { path: { key_id: key.id } } }).then((answer) => ({ ...answer, data: true })))}
                  onDone={onRevoked}
                />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Wide>
  );
}

function Make({ onMade }: { onMade: (key: Made) => void }) {
  const [name, setName] = useState("");
  const [writes, setWrites] = useState(true);
  const [life, setLife] = useState("");
  const [error, setError] = useState<unknown>(null);
  const attempt = useTry();
  const alone = useAlone();

  async function make(): Promise<void> {
    setError(null);
    const body = { name, scopes: writes ? (["read", "write"] as const) : (["read"] as const), expires_in_seconds: life ? Number(life) : null };
    await attempt(async () => {
      try {
        onMade(await unwrap(api.POST("/api-keys", { body: { ...body, scopes: [...body.scopes] } })));
        setName("");
      } catch (thrown) {
        if (asProblem(thrown).problem.status !== 422) throw thrown;
        setError(thrown);
      }
    });
  }
  function submit(event: FormEvent): void {
    event.preventDefault();
    void alone(make);
  }

  return (
    <form className="toolbar make-key" onSubmit={submit}>
      <label className="search grow">
        <span className="visually-hidden">Name of the new key</span>
        <input value={name} required maxLength={200} placeholder="Name of a new key" onChange={(event) => setName(event.target.value)} />
      </label>
      <label className="check">
        <input type="checkbox" checked={writes} onChange={(event) => setWrites(event.target.checked)} /> may write
      </label>
      <select aria-label="How long it is good for" value={life} onChange={(event) => setLife(event.target.value)}>
        {LIVES.map(([seconds, words]) => (
          <option key={seconds} value={seconds}>
            {words}
          </option>
        ))}
      </select>
      <button type="submit" className="button">
        Make key
      </button>
      {error !== null && <Problem error={error} />}
    </form>
  );
}
