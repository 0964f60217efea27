import { fromAnswer } from "../api/problem";
import { Problem } from "./Problem";

/** The stored error of a job or an inspection, in the same form as an answer's. */
export function ErrorNote({ error }: { error: Record<string, unknown> }) {
  const { code, message, remedy, fault, retryable } = error as Record<string, string>;
  const problem = { code, detail: message, remedy, fault, retryable: retryable === ("true" as unknown), status: 0, errors: [] };
  return <Problem error={fromAnswer(0, problem, "")} />;
}
