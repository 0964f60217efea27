import type { Warning } from "../lib/report";
import { Prose } from "./Prose";

/** What is probably wrong, before hours of training: of a run, or of a job that was only checked. A service of an earlier
 * release says nothing. */
export function Warnings({ job }: { job: { warnings?: Warning[] } }) {
  return (job.warnings ?? []).map(({ code, message, remedy }) => (
    <p key={code} className="verdict tone-warn" role="alert">
      <b>
        <Prose text={message} />
      </b>{" "}
      <Prose text={remedy} />
    </p>
  ));
}
