import type { ReactNode } from "react";

import { asProblem } from "../api/problem";
import { Icon } from "./Icon";

interface Props {
  error: unknown;
  onRetry?: () => void;
  children?: ReactNode;
}

/** An error as the service told it: what, whose, what to do. */
export function Problem({ error, onRetry, children }: Props) {
  const { problem } = asProblem(error);
  return (
    <div className="problem" role="alert">
      <Icon name="warning" />
      <div>
        <p className="problem-title">{problem.detail || problem.title}</p>
        {problem.remedy && <p>{problem.remedy}</p>}
        {problem.errors && problem.errors.length > 0 && (
          <ul>
            {problem.errors.map((each) => (
              <li key={each.pointer + each.message}>
                <code>{each.pointer}</code> {each.message}
              </li>
            ))}
          </ul>
        )}
        <p className="muted small">
          {problem.fault === "user" ? "Something in the request" : "Something in the service"} · <code>{problem.code}</code>
          {problem.status ? ` · HTTP ${problem.status}` : ""}
        </p>
        {children}
      </div>
      {onRetry && (
        <button type="button" className="button small" onClick={onRetry}>
          Try again
        </button>
      )}
    </div>
  );
}
