import { useState } from "react";

import { api, unwrap } from "../api/client";
import type { Job } from "../api/types";
import { usePoll } from "../hooks/usePoll";
import { title } from "../lib/jobs";
import { settings, type Setting, shownValue } from "../lib/settings";
import { Copy } from "./Copy";
import { Wide } from "./Layout";
import { Problem } from "./Problem";

/** What was asked for, what it became, and why; or how it differs from another job. */
export function Configuration({ job }: { job: Job }) {
  const [other, setOther] = useState("");
  const jobs = usePoll("jobs to compare configurations with", () => unwrap(api.GET("/jobs", { params: { query: { limit: 100 } } })));
  const others = jobs.data?.items.filter((each) => each.id !== job.id) ?? [];
  const chosen = others.find((each) => each.id === other);
  const resolved = job.resolved?.config ?? job.config;
  return (
    <>
      <div className="toolbar">
        <label className="inline">
          Compare with{" "}
          <select value={other} onChange={(event) => setOther(event.target.value)}>
            <option value="">nothing</option>
            {others.map((each) => (
              <option key={each.id} value={each.id}>
                {title(each)} ({each.id.slice(-6)})
              </option>
            ))}
          </select>
        </label>
        <span className="grow" />
        <Copy text={JSON.stringify(resolved, null, 2)} what="the resolved configuration as JSON" label="JSON" />
      </div>
      {jobs.problem && !jobs.data && <Problem error={jobs.problem} onRetry={jobs.reload} />}
      {chosen ? <Difference job={job} other={chosen} /> : <Resolved job={job} />}
    </>
  );
}

function Resolved({ job }: { job: Job }) {
  const rows = settings(job);
  return (
    <Wide label="Settings as resolved">
      <table className="plain settings">
        <thead>
          <tr>
            <th scope="col">Setting</th>
            <th scope="col">Value</th>
            <th scope="col">Why</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <Row key={row.name} row={row} />
          ))}
        </tbody>
      </table>
    </Wide>
  );
}

function Row({ row }: { row: Setting }) {
  return (
    <tr>
      <th scope="row">
        <code>{row.name}</code>
      </th>
      <td>
        <code>{shownValue(row.value)}</code>
        {row.asked !== undefined && <span className="muted small">asked for {shownValue(row.asked)}</span>}
      </td>
      <td className="muted">{row.reason}</td>
    </tr>
  );
}

function Difference({ job, other }: { job: Job; other: Job }) {
  const mine = settings(job);
  const theirs = new Map(settings(other).map((row) => [row.name, row.value]));
  const names = [...new Set([...mine.map((row) => row.name), ...theirs.keys()])];
  const values = new Map(mine.map((row) => [row.name, row.value]));
  const differing = names.filter((name) => shownValue(values.get(name)) !== shownValue(theirs.get(name)));
  if (differing.length === 0) return <p className="none">Every setting is the same.</p>;
  return (
    <Wide label="Settings that differ">
      <table className="plain settings">
        <thead>
          <tr>
            <th scope="col">Setting</th>
            <th scope="col">This job</th>
            <th scope="col">{title(other)}</th>
          </tr>
        </thead>
        <tbody>
          {differing.map((name) => (
            <tr key={name}>
              <th scope="row">
                <code>{name}</code>
              </th>
              <td>
                <code>{shownValue(values.get(name))}</code>
              </td>
              <td>
                <code>{shownValue(theirs.get(name))}</code>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Wide>
  );
}
