import { useState } from "react";

import type { Older } from "../hooks/useOlder";
import { count } from "../lib/format";
import { Problem } from "./Problem";

/** Says how many are listed where there are more, and asks for them. */
export function MoreButton({ list, what, lead = "Listed: the newest" }: { list: Older<unknown>; what: string; lead?: string }) {
  const [busy, setBusy] = useState(false);
  const { items, more, problem } = list;
  if (!more) return null;
  function load(): void {
    setBusy(true);
    void more?.().finally(() => setBusy(false));
  }
  return (
    <>
      <p className="row wrap muted small">
        <span>
          {lead} {count(items.length)} {what}.
        </span>
        <button type="button" className="button small" disabled={busy} onClick={load}>
          Load older {what}
        </button>
      </p>
      {problem && <Problem error={problem} />}
    </>
  );
}
