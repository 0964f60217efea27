import { type KeyboardEvent, type PointerEvent, useId, useState } from "react";

import type { StudyRow } from "../api/types";
import { type Axis, type Brushes, brushed, kept } from "../charts/parallel";
import { useWidth } from "../charts/useWidth";
import { configuration, placeName, spread } from "../lib/studies";
import { navigate } from "../router";
import { Card } from "./Layout";

const HEIGHT = 300;
const EDGE = { left: 76, right: 76, top: 30, bottom: 16 };
const LEAST = 104; // pixels between axes: beyond that the plot scrolls

interface Props {
  rows: readonly StudyRow[];
  axes: readonly Axis[];
  brushes: Brushes;
  /** The job of a configuration, where one is known. */
  jobOf: (number: number) => string | undefined;
  /** Whether a higher value of the first objective, `by`, is better. */
  by: { name: string; down: boolean } | undefined;
  onBrush: (brushes: Brushes) => void;
}

/** A line a configuration through its parameters and figures. Dragging along an axis keeps what lies there; the sliders
 * below do the same by keyboard. With the plot focused, arrows go from line to line and Enter opens the job. */
export function ParallelPlot({ rows, axes, brushes, jobOf, by, onBrush }: Props) {
  const [over, setOver] = useState<number | null>(null);
  const [drag, setDrag] = useState<{ key: string; from: number } | null>(null);
  const [box, own] = useWidth(640);
  const width = Math.max(own, EDGE.left + EDGE.right + (axes.length - 1) * LEAST);
  const x = (number: number): number => (axes.length > 1 ? EDGE.left + (number / (axes.length - 1)) * (width - EDGE.left - EDGE.right) : width / 2);
  const y = (place: number): number => HEIGHT - EDGE.bottom - place * (HEIGHT - EDGE.top - EDGE.bottom);
  const inside = rows.filter((row) => kept(row, axes, brushes));
  const shown = inside.find((row) => row.configuration === over);
  const best = bestOf(inside, by);
  const open = (number: number): void => {
    const job = jobOf(number);
    if (job) navigate(`/jobs/${job}`);
  };
  const place = (event: PointerEvent<SVGElement>): number => {
    const svg = event.currentTarget.ownerSVGElement ?? event.currentTarget;
    const from = svg.getBoundingClientRect().top;
    return Math.min(1, Math.max(0, (HEIGHT - EDGE.bottom - (event.clientY - from)) / (HEIGHT - EDGE.top - EDGE.bottom)));
  };
  const step = (event: KeyboardEvent): void => {
    const turn = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (event.key === "Enter" && shown) open(shown.configuration);
    if (event.key === "Escape") setOver(null);
    if (turn === undefined || inside.length === 0) return;
    event.preventDefault();
    const at = inside.findIndex((row) => row.configuration === over);
    setOver(inside[at < 0 ? 0 : (at + turn + inside.length) % inside.length]?.configuration ?? null);
  };
  return (
    <Card title="Parameters and figures" aside={Object.keys(brushes).length > 0 && <button type="button" className="button small" onClick={() => onBrush({})}>Show all</button>}>
      <div ref={box} className="scroll">
        <svg
          width={width} height={HEIGHT} role="application" tabIndex={0} onKeyDown={step} style={{ display: "block", touchAction: "pan-x" }}
          aria-label={`Parallel coordinates: ${inside.length} of ${rows.length} configurations on ${axes.length} axes. Arrow keys go through them, Enter opens the job.`}
        >
          {rows.map((row) => {
            const within = inside.includes(row);
            const strong = row.configuration === over || (over === null && row.configuration === best);
            return pathsOf(row, axes, x, y).map((points, part) => (
              <polyline
                key={`${row.configuration}.${part}`} data-configuration={within ? row.configuration : undefined} points={points} fill="none"
                stroke={within ? (strong ? "var(--accent)" : "currentColor") : "var(--line)"} strokeWidth={strong ? 3 : 1.5} opacity={within ? (strong ? 1 : 0.4) : 0.7}
                style={{ cursor: within && jobOf(row.configuration) ? "pointer" : "default", pointerEvents: within ? "stroke" : "none" }}
                onMouseEnter={() => setOver(row.configuration)} onMouseLeave={() => setOver(null)} onClick={() => open(row.configuration)}
              />
            ));
          })}
          {axes.map((axis, number) => {
            const brush = brushes[axis.key];
            return (
              <g key={axis.key}>
                <text x={x(number)} y={16} textAnchor="middle" fontSize={12} fontWeight={600} fill="currentColor">{short(placeName(axis.key), 16)}<title>{axis.key}</title></text>
                <line x1={x(number)} x2={x(number)} y1={y(0)} y2={y(1)} stroke="var(--line-strong)" />
                {axis.ticks.map((tick) => (
                  <text key={tick.label} x={x(number) + (number === axes.length - 1 ? 8 : -8)} y={y(tick.place) + 4} textAnchor={number === axes.length - 1 ? "start" : "end"} fontSize={11} fill="var(--muted)" paintOrder="stroke" stroke="var(--surface, transparent)" strokeWidth={3}>
                    {short(tick.label, 12)}
                  </text>
                ))}
                {brush && <rect x={x(number) - 8} width={16} y={y(brush[1])} height={Math.max(2, y(brush[0]) - y(brush[1]))} fill="var(--accent)" opacity={0.3} />}
                <rect
                  data-axis={axis.key} x={x(number) - 10} width={20} y={EDGE.top} height={HEIGHT - EDGE.top - EDGE.bottom} fill="transparent" style={{ cursor: "ns-resize", touchAction: "none" }}
                  onPointerDown={(event) => {
                    event.currentTarget.setPointerCapture?.(event.pointerId);
                    setDrag({ key: axis.key, from: place(event) });
                  }}
                  onPointerMove={(event) => drag?.key === axis.key && onBrush(brushed(brushes, axis.key, drag.from, place(event)))}
                  onPointerUp={(event) => {
                    if (drag?.key === axis.key) onBrush(brushed(brushes, axis.key, drag.from, place(event)));
                    setDrag(null);
                  }}
                />
              </g>
            );
          })}
        </svg>
      </div>
      <p className="muted" aria-live="polite">{shown ? told(shown, axes) : `${inside.length} of ${rows.length} configurations${inside.length < rows.length ? ": the table shows them alone." : "."}`}</p>
      <details>
        <summary>Filter by an axis</summary>
        {axes.map((axis) => <Sliders key={axis.key} axis={axis} brush={brushes[axis.key] ?? [0, 1]} onChange={(low, high) => onBrush(brushed(brushes, axis.key, low, high))} />)}
      </details>
    </Card>
  );
}

function Sliders({ axis, brush, onChange }: { axis: Axis; brush: readonly [number, number]; onChange: (low: number, high: number) => void }) {
  const id = useId();
  const name = placeName(axis.key);
  const ends = [["from", brush[0], (value: number) => onChange(value, brush[1])], ["to", brush[1], (value: number) => onChange(brush[0], value)]] as const;
  return (
    <div className="row wrap">
      <b>{name}</b>
      {ends.map(([end, value, change]) => (
        <label key={end} htmlFor={`${id}${end}`}>
          {end} <input id={`${id}${end}`} type="range" min={0} max={1} step={0.01} value={value} aria-label={`${name} ${end}`} aria-valuetext={axis.told(value)} onChange={(event) => change(Number(event.target.value))} /> {axis.told(value)}
        </label>
      ))}
    </div>
  );
}

/** A line breaks where a configuration has no value: of a place that was not varied in it, or a figure not yet known. */
function pathsOf(row: StudyRow, axes: readonly Axis[], x: (number: number) => number, y: (place: number) => number): string[] {
  const parts: string[][] = [[]];
  axes.forEach((axis, number) => {
    const at = axis.at(row);
    if (at === undefined) parts.push([]);
    else parts.at(-1)?.push(`${x(number)},${y(at)}`);
  });
  return parts.filter((part) => part.length > 1).map((part) => part.join(" "));
}

function bestOf(rows: readonly StudyRow[], by: Props["by"]): number | undefined {
  if (!by) return undefined;
  const known = rows.flatMap((row) => (row.values[by.name] ? [{ number: row.configuration, value: row.values[by.name]?.mean ?? 0 }] : []));
  return known.sort((a, b) => (by.down ? b.value - a.value : a.value - b.value))[0]?.number;
}

function told(row: StudyRow, axes: readonly Axis[]): string {
  const values = axes.flatMap((axis) => {
    const at = axis.at(row);
    return at === undefined ? [] : [`${placeName(axis.key)} ${row.values[axis.key] ? spread(row.values[axis.key]) : axis.told(at)}`];
  });
  return `${row.configuration === 0 ? "Base job" : `Configuration ${configuration(row)}`}: ${values.join(", ")}`;
}

const short = (text: string, most: number): string => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
