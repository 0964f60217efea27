import type { DryRun } from "../api/types";
import { bytes } from "../lib/format";
import { Facts } from "./Layout";

/** What a dry run found: the job would be accepted, and what it would have to fetch. */
export function CheckedCard({ checked }: { checked: DryRun }) {
  return (
    <div className="checked" role="status">
      <p>
        <b>This job would be accepted.</b> Nothing was queued.
      </p>
      <Facts
        facts={[
          ["Student", <code>{checked.student.name}</code>],
          ["To fetch", bytes(checked.input_bytes)],
          ["Epochs", checked.config.epochs],
          ["Steps at most", checked.config.max_steps ?? ""],
        ]}
      />
    </div>
  );
}
