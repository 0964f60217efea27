import { type KeyboardEvent, type PointerEvent, useId, useState } from "react";

import { useTheme } from "../theme";
import { palette } from "./palette";
import { decimals, linear } from "./scale";
import { useWidth } from "./useWidth";
import { walked } from "./walk";

export interface RecallSeries {
  name: string;
  /** Precision at each recall. */
  values: number[];
}

interface Props {
  title: string;
  recall: number[];
  series: RecallSeries[];
}

const HEIGHT = 300;
const LEFT = 46;
const RIGHT = 14;
const TOP = 24;
const BOTTOM = 42;
const DASHES = ["7 4", "", "2 3", "10 3 2 3"];
const TENTHS = [0, 0.2, 0.4, 0.6, 0.8, 1];
/** How many recalls an arrow key goes on. */
const STRIDE = 5;

/** Precision over recall, to look at and to walk along: pointer, or arrow keys when focused; read aloud recall by recall. */
export function RecallChart({ title, recall, series }: Props) {
  const [box, width] = useWidth();
  const [active, setActive] = useState<number | null>(null);
  const colours = palette(useTheme());
  const hint = useId();
  const x = linear([0, 1], [LEFT, width - RIGHT]);
  const y = linear([0, 1], [HEIGHT - BOTTOM, TOP]);
  const last = recall.length - 1;
  const colour = (at: number): string => colours.series[(at + 1) % colours.series.length]!;

  function move(event: PointerEvent): void {
    const at = (event.clientX - event.currentTarget.getBoundingClientRect().left - LEFT) / (width - LEFT - RIGHT);
    setActive(Math.min(last, Math.max(0, Math.round(at * last))));
  }

  function key(event: KeyboardEvent): void {
    if (event.key === "Escape") setActive(null);
    const next = walked(event, active ?? -1, last, STRIDE);
    if (next !== undefined) setActive(next);
  }

  return (
    <div className="qcurve" ref={box}>
      {/* An application: arrow keys walk along the recalls, which no native role offers for a picture. */}
      <div className="qcurve-stage" role="application" aria-roledescription="interactive chart" aria-label={title} aria-describedby={hint} tabIndex={0} onPointerMove={move} onPointerLeave={() => setActive(null)} onKeyDown={key} onBlur={() => setActive(null)}>
        <svg aria-hidden="true" width={width} height={HEIGHT} viewBox={`0 0 ${width} ${HEIGHT}`} fontSize={12}>
          {TENTHS.map((tick) => (
            <g key={tick} fill={colours.muted}>
              <line x1={LEFT} x2={width - RIGHT} y1={y(tick)} y2={y(tick)} stroke={colours.grid} />
              <text x={LEFT - 8} y={y(tick) + 4} textAnchor="end">
                {tick}
              </text>
              <text x={x(tick)} y={HEIGHT - BOTTOM + 18} textAnchor={tick === 1 ? "end" : "middle"}>
                {tick}
              </text>
            </g>
          ))}
          <text x={(LEFT + width - RIGHT) / 2} y={HEIGHT - 6} textAnchor="middle" fill={colours.muted}>
            recall
          </text>
          <text x={LEFT} y={TOP - 6} fill={colours.muted}>
            precision
          </text>
          {active !== null && <line x1={x(recall[active]!)} x2={x(recall[active]!)} y1={TOP} y2={HEIGHT - BOTTOM} stroke={colours.ink} strokeOpacity={0.45} />}
          {series.map(({ name, values }, at) => (
            <g key={name} fill="none" stroke={colour(at)} strokeWidth={2.2}>
              <path d={values.map((value, i) => `${i === 0 ? "M" : "L"}${x(recall[i]!).toFixed(1)} ${y(value).toFixed(1)}`).join("")} strokeDasharray={DASHES[at % DASHES.length]} strokeLinejoin="round" />
              {active !== null && <circle cx={x(recall[active]!)} cy={y(values[active]!)} r={4} fill={colour(at)} />}
            </g>
          ))}
        </svg>
      </div>
      <ul className="legend" aria-hidden="true">
        {series.map(({ name, values }, at) => (
          <li key={name}>
            <svg width={30} height={8}>
              <line x1={1} x2={29} y1={4} y2={4} stroke={colour(at)} strokeWidth={2.2} strokeDasharray={DASHES[at % DASHES.length]} />
            </svg>
            {name}
            {active !== null && <b>{values[active]!.toFixed(3)}</b>}
          </li>
        ))}
        {active !== null && <li className="muted">precision at recall {recall[active]!.toFixed(2)}</li>}
      </ul>
      <p id={hint} className="visually-hidden">
        Arrow keys walk along the recalls.
      </p>
      <p className="visually-hidden" aria-live="polite">
        {active !== null && spokenAt(recall[active]!, active, series)}
      </p>
    </div>
  );
}

export const spokenAt = (recall: number, at: number, series: RecallSeries[]): string =>
  `Recall ${decimals(recall)}: ${series.map(({ name, values }) => `${name} precision ${values[at]!.toFixed(3)}`).join(", ")}.`;
