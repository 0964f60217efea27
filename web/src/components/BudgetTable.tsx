import type { DryRun, Job } from "../api/types";
import { bytes, figure, MISSING, short } from "../lib/format";
import type { Candidate } from "../lib/student";
import { Card, Heads, Wide } from "./Layout";
import { Network } from "./StudentChoice";

interface Found {
  reason?: string;
  table?: Candidate[];
  measured?: { threads?: number; quiet?: boolean; others?: number };
}

const WITHIN: Record<string, string> = { half: "half of it", budget: "the budget", double: "double of it" };

/** The networks that were counted for a budget, the most promising first, and why one of them is taken. */
export function BudgetTable({ found }: { found: NonNullable<DryRun["student_budget"]> }) {
  const { reason, table = [], measured } = found as Found;
  const timed = table.some(({ latency_ms }) => latency_ms !== undefined);
  return (
    <>
      {reason && <p>It is {reason}.</p>}
      <Wide label="Candidates of the budget">
        <table className="plain">
          <Heads names={["Network", "Parameters", "FLOPs", "Size", ...(timed ? ["Latency"] : []), "Within"]} />
          <tbody>
            {table.map((each) => (
              <tr key={JSON.stringify(each.architecture)}>
                <td>
                  <Network of={each} />
                </td>
                <td>{short(each.parameters)}</td>
                <td>{short(each.flops)}</td>
                <td>{bytes(each.bytes)}</td>
                {timed && <td>{each.latency_ms === undefined ? MISSING : `${figure(each.latency_ms, 3)} ms`}</td>}
                <td>{WITHIN[each.within ?? ""] ?? MISSING}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Wide>
      {timed && measured && (
        <p className="muted small">
          Timed at batch 1 with {measured.threads} {measured.threads === 1 ? "thread" : "threads"} on {measured.quiet ? "a quiet worker" : "a worker that was not quiet"}.
        </p>
      )}
    </>
  );
}

/** Of a job whose student was chosen by a budget. */
export function BudgetCard({ job }: { job: Pick<Job, "student_budget"> }) {
  if (!job.student_budget) return null;
  return (
    <Card title="How the student was chosen">
      <BudgetTable found={job.student_budget} />
    </Card>
  );
}
