import { useState } from "react";

import type { PrecisionRecall } from "../api/detected";
import { RecallChart, type RecallSeries } from "../charts/RecallChart";
import { percent } from "../lib/format";
import { Card, Heads, Wide } from "./Layout";

const OVERLAP = "0.50";
const EVERY = 10;
const MEAN = "";

/** Precision over recall on the test set, by class and by how much a box must overlap an object. */
export function PrecisionCard({ found }: { found: PrecisionRecall }) {
  const [name, setName] = useState(MEAN);
  const [overlap, setOverlap] = useState(found.overlaps.includes(OVERLAP) ? OVERLAP : (found.overlaps[0] ?? OVERLAP));
  const [asTable, setAsTable] = useState(false);
  const series = found.networks.flatMap(({ title, at }): RecallSeries[] => {
    const values = at(name === MEAN ? null : name, overlap);
    return values ? [{ name: title, values }] : [];
  });
  return (
    <Card
      title="Precision and recall"
      aside={
        <button type="button" className="button small ghost" aria-pressed={asTable} onClick={() => setAsTable(!asTable)}>
          {asTable ? "As a picture" : "As a table"}
        </button>
      }
    >
      <div className="row wrap picks">
        <label className="field">
          <span>Class</span>
          <select value={name} onChange={(event) => setName(event.target.value)}>
            <option value={MEAN}>mean over the classes</option>
            {found.classes.map((each) => (
              <option key={each} value={each}>
                {each}
              </option>
            ))}
          </select>
        </label>
        <label className="field">
          <span>Overlap (IoU)</span>
          <select value={overlap} onChange={(event) => setOverlap(event.target.value)}>
            {found.overlaps.map((each) => (
              <option key={each}>{each}</option>
            ))}
          </select>
        </label>
      </div>
      {asTable ? <RecallTable recall={found.recall} series={series} /> : <RecallChart title={`Precision over recall, ${name || "mean over the classes"}, IoU ${overlap}`} recall={found.recall} series={series} />}
      <p className="muted small spaced">
        {series.map(({ name: who, values }) => `${who}: AP ${percent(mean(values), 1)}`).join(", ")}
        {series.length > 0 && " at this overlap: the mean of the curve. "}A box counts as right where what it shares with an object of its class is at least this part of what both cover; 0.50:0.95 is the mean of ten such thresholds.
      </p>
    </Card>
  );
}

const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

function RecallTable({ recall, series }: { recall: number[]; series: RecallSeries[] }) {
  return (
    <Wide label="Precision by recall">
      <table className="plain results">
        <Heads names={["Recall", ...series.map(({ name }) => `${name} precision`)]} />
        <tbody>
          {recall.map((value, at) =>
            at % EVERY > 0 ? null : (
              <tr key={value}>
                <th scope="row">{percent(value, 0)}</th>
                {series.map(({ name, values }) => (
                  <td key={name}>{percent(values[at], 1)}</td>
                ))}
              </tr>
            ),
          )}
        </tbody>
      </table>
    </Wide>
  );
}
