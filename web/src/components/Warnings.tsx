import type { Job } from "../api/types";
import { Prose } from "./Prose";

/** What the run found to be probably wrong, before hours of training. A service of an earlier release says nothing. */
export function Warnings({ job }: { job: Pick<Job, "warnings"> }) {
  return (job.warnings ?? []).map(({ code, message, remedy }) => (
    <p key={code} className="verdict tone-warn" role="alert">
      <b>
        <Prose text={message} />
      </b>{" "}
      <Prose text={remedy} />
    </p>
  ));
}
