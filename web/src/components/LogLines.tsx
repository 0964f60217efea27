import { memo } from "react";

import type { LogLine } from "../api/types";
import { clock, timeOfDay } from "../lib/format";

export const LogLines = memo(function LogLines({ lines, search }: { lines: LogLine[]; search: string }) {
  return (
    <ol className="log-lines">
      {lines.map((line, at) => (
        <li key={at} className={`level-${line.level.toLowerCase()}`}>
          <time dateTime={line.created_at} title={`${clock(line.created_at)}, attempt ${line.attempt}`}>
            {timeOfDay(line.created_at)}
          </time>
          <span className="level">{line.level}</span>
          <span className="message">
            <Marked text={line.message} search={search} />
          </span>
        </li>
      ))}
    </ol>
  );
});

function Marked({ text, search }: { text: string; search: string }) {
  if (!search) return text;
  const at = text.toLowerCase().indexOf(search.toLowerCase());
  if (at < 0) return text;
  return (
    <>
      {text.slice(0, at)}
      <mark>{text.slice(at, at + search.length)}</mark>
      {text.slice(at + search.length)}
    </>
  );
}
