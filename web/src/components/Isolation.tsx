import type { System } from "../api/types";

/** What holds a worker's trainers, which load strangers' files, and what its machine refuses. */
export function Isolation({ isolation }: { isolation: System["workers"][number]["isolation"] }) {
  if (!isolation) return <span className="muted">not said</span>;
  return (
    <>
      <span className={`status tone-${isolation.complete ? "good" : "bad"}`}>
        <span aria-hidden="true" className="status-mark">
          {isolation.complete ? "✓" : "✕"}
        </span>
        {isolation.complete ? "isolated" : "not isolated"}
      </span>{" "}
      <span className="muted small">{isolation.trainers}</span>
      {isolation.problems.map((problem) => (
        <span key={problem} className="muted small">
          {" "}
          {problem}.
        </span>
      ))}
    </>
  );
}
