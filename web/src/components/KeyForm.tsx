import { type FormEvent, useState } from "react";

import { api, unwrap } from "../api/client";
import { setApiKey } from "../api/key";
import { Problem } from "./Problem";

/** What a header can carry; another key would make every later request fail before it is sent. */
const POSSIBLE = /^[\x20-\x7e]+$/;

/** Asks for the API key of a service that wants one. */
export function KeyForm() {
  const [key, setKey] = useState("");
  const [error, setError] = useState<unknown>(null);

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    if (!POSSIBLE.test(key.trim())) return setError("A key has only letters, digits and signs of ASCII. Copy it once more.");
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
      {typeof error === "string" ? (
        <p className="help error" role="alert">
          {error}
        </p>
      ) : (
        error !== null && <Problem error={error} />
      )}
      <button type="submit" className="button primary">
        Continue
      </button>
    </form>
  );
}
