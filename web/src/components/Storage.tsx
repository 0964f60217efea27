import type { System } from "../api/types";
import { bytes } from "../lib/format";
import { Bar } from "./Layout";

/** What one keeps in the object store, by kind, and how much of the quota that is. */
export function Storage({ storage }: { storage: System["storage"] }) {
  const kinds = Object.entries(storage.by_kind).filter(([, size]) => size > 0);
  return (
    <>
      <p className="big-number">
        {bytes(storage.used_bytes)} <span className="muted">{storage.max_bytes === null ? "kept" : `of ${bytes(storage.max_bytes)}`}</span>
      </p>
      {storage.max_bytes !== null && <Bar fraction={storage.used_bytes / storage.max_bytes} label="Share of the quota" />}
      <dl className="facts">
        {kinds.map(([kind, size]) => (
          <div key={kind}>
            <dt>{kind}</dt>
            <dd>{bytes(size)}</dd>
          </div>
        ))}
      </dl>
    </>
  );
}
