import { type FormEvent, useState } from "react";

import { api, unwrap } from "../api/client";
import { apiKey, setApiKey } from "../api/key";
import { Problem } from "./Problem";

/** Asks for the API key of a service that wants one. */
export function KeyForm() {
  const [key, setKey] = useState("");
  const [error, setError] = useState<unknown>(null);

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    setApiKey(key.trim());
    try {
      await unwrap(api.GET("/system"));
      window.location.reload();
    } catch (thrown) {
      setError(thrown);
    }
  }

  return (
    <form className="card narrow" onSubmit={(event) => void submit(event)}>
      <h1>This service needs a key</h1>
      <p className="muted">It is kept in this browser tab only, and sent to this service only.</p>
      <p className="muted">
        Started by <code>docker compose up</code>? This shows the first key:{" "}
        <code>docker compose exec api cat /run/retort/api_key</code>
      </p>
      <label className="field">
        <span>API key</span>
        <input type="password" autoComplete="off" required value={key} onChange={(event) => setKey(event.target.value)} />
      </label>
      {(error !== null || apiKey()) && error !== null && <Problem error={error} />}
      <button type="submit" className="button primary">
        Continue
      </button>
    </form>
  );
}
