import type { Problem } from "./types";

/** An error that the page can show: a problem document of the service, or one made here where none came. */
export class ProblemError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail);
    this.name = "ProblemError";
  }
}

const EMPTY: Problem = {
  type: "about:blank",
  title: "Error",
  status: 0,
  detail: "",
  instance: "",
  code: "unknown",
  remedy: "",
  fault: "system",
  retryable: true,
  errors: [],
  details: {},
};

/** No answer came at all. */
export function unreachable(cause: unknown): ProblemError {
  const detail = "The service does not answer.";
  const remedy = "It may be restarting. This page keeps trying; what it shows is the last that was heard.";
  return new ProblemError({
    ...EMPTY,
    title: "Not reachable",
    code: "unreachable",
    detail,
    remedy,
    details: { cause: String(cause) },
  });
}

/** What the service said, whether or not it managed to say it as problem+json. */
export function fromAnswer(status: number, body: unknown, instance: string): ProblemError {
  if (isProblem(body)) return new ProblemError({ ...EMPTY, ...body });
  const gateway = status === 502 || status === 503 || status === 504;
  const detail = gateway
    ? "The service is behind a proxy that cannot reach it just now."
    : `The service answered ${status} without saying why.`;
  return new ProblemError({ ...EMPTY, title: `HTTP ${status}`, status, instance, code: `http_${status}`, detail });
}

/** Anything thrown, as something to show. An error of ours (a defect) says so. */
export function asProblem(thrown: unknown): ProblemError {
  if (thrown instanceof ProblemError) return thrown;
  const detail = thrown instanceof Error ? thrown.message : String(thrown);
  return new ProblemError({ ...EMPTY, title: "The dashboard failed", code: "dashboard", detail, retryable: false });
}

function isProblem(body: unknown): body is Problem {
  return typeof body === "object" && body !== null && "detail" in body && "code" in body;
}
