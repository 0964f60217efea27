import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";

import { isActive, type Job } from "../api/types";
import { useLog } from "../hooks/useLog";
import { save } from "../lib/download";
import { count } from "../lib/format";
import { LogLines } from "./LogLines";
import { Problem } from "./Problem";

const SHOWN = 2000;

/** The log: follows its end until one scrolls up; searched in whole, drawn up to the last two thousand lines. */
export function Log({ job, gone }: { job: Job; gone: boolean }) {
  const live = isActive(job.status);
  const { lines, complete, problem, reload } = useLog(job.id, live);
  const [search, setSearch] = useState("");
  const [level, setLevel] = useState("");
  const [following, setFollowing] = useState(true);
  const box = useRef<HTMLDivElement>(null);
  const found = useMemo(() => {
    const wanted = search.toLowerCase();
    return lines.filter((line) => (!level || line.level.toLowerCase() === level) && (!wanted || line.message.toLowerCase().includes(wanted)));
  }, [lines, search, level]);
  const levels = useMemo(() => [...new Set(lines.map((line) => line.level.toLowerCase()))].sort(), [lines]);

  useLayoutEffect(() => {
    if (following && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [found, following]);
  useEffect(() => setFollowing(true), [job.id]);

  function scrolled(): void {
    const node = box.current;
    if (node) setFollowing(node.scrollHeight - node.scrollTop - node.clientHeight < 24);
  }

  return (
    <div className="log">
      <div className="toolbar">
        <label className="search grow">
          <span className="visually-hidden">Search the log</span>
          <input type="search" placeholder="Search the log" value={search} onChange={(event) => setSearch(event.target.value)} />
        </label>
        <select aria-label="Level" value={level} onChange={(event) => setLevel(event.target.value)}>
          <option value="">Every level</option>
          {levels.map((each) => (
            <option key={each}>{each}</option>
          ))}
        </select>
        <label className="check">
          <input type="checkbox" checked={following} onChange={(event) => setFollowing(event.target.checked)} /> Follow
        </label>
        <button type="button" className="button small" disabled={lines.length === 0} onClick={() => save(lines.map((l) => `${l.created_at} ${l.level} ${l.message}`).join("\n") + "\n", `${job.id}.log`)}>
          Save
        </button>
      </div>
      {problem && <Problem error={problem} onRetry={reload} />}
      <div className="log-box" ref={box} onScroll={scrolled} tabIndex={0} role="log" aria-label="Log" aria-live="off">
        {found.length > SHOWN && <p className="muted small">The last {count(SHOWN)} of {count(found.length)} lines.</p>}
        <LogLines lines={found.slice(-SHOWN)} search={search} />
        {found.length === 0 && (lines.length > 0 || complete) && <p className="none">{lines.length > 0 ? "No line matches." : empty(live, gone)}</p>}
      </div>
      <p className="muted small">
        {search || level ? `${count(found.length)} of ` : ""}
        {lines.length === 1 ? "1 line" : `${count(lines.length)} lines`}
        {!complete && !problem && ", loading more"}
      </p>
    </div>
  );
}

function empty(live: boolean, gone: boolean): string {
  if (live) return "Nothing written yet.";
  return gone ? "The log is no longer kept: this service removes it some time after a job has ended." : "The trainer wrote nothing.";
}
