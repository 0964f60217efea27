import type { ReactNode } from "react";

import type { DryRun } from "../api/types";
import { bytes, duration } from "../lib/format";
import { Facts } from "./Layout";
import { Warnings } from "./Warnings";

type Figure = DryRun["estimates"]["minutes"];

/** What a dry run found: the job would be accepted, what it would fetch, and what it will probably take. */
export function CheckedCard({ checked }: { checked: DryRun }) {
  const { memory_bytes, disk_bytes, minutes, notes } = checked.estimates;
  const figures: [string, Figure, (value: number) => string][] = [
    ["Time", minutes, (value) => duration(60 * value)],
    ["Memory", memory_bytes, bytes],
    ["Disk", disk_bytes, bytes],
  ];
  return (
    <div className="checked" role="status">
      <p>
        <b>This job would be accepted.</b> Nothing was queued.
      </p>
      <Warnings job={checked} />
      <Facts
        facts={[
          ["Student", <code>{checked.student.name}</code>],
          ["To fetch", bytes(checked.input_bytes)],
          ["Epochs", checked.config.epochs],
          ["Steps at most", checked.config.max_steps ?? ""],
          ...figures.map(([name, figure, words]): [string, ReactNode] => [name, figure && estimated(figure, words)]),
        ]}
      />
      {figures.some(([, figure]) => figure) && (
        <details>
          <summary>What the estimates are based on</summary>
          <ul>
            {figures.map(([name, figure]) => figure && <li key={name}>{`${name}: ${figure.basis}.`}</li>)}
          </ul>
        </details>
      )}
      {notes.map((note) => (
        <p key={note} className="muted small">
          {note}
        </p>
      ))}
    </div>
  );
}

/** "about 12 min 30 s (8 min to 19 min)". */
export function estimated(figure: NonNullable<Figure>, words: (value: number) => string): string {
  return `about ${words(figure.value)} (${words(figure.low)} to ${words(figure.high)})`;
}
