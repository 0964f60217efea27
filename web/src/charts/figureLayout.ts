/** Where everything of a study's figure stands, for the picture and for the pointer. */
import type { Figure, FigurePoint } from "../api/types";
import { compact } from "../lib/format";
import { extent, linear, logarithmic, logExtent, logTicks, type Scale, ticks } from "./scale";

export const LEFT = 58;
export const RIGHT = 18;
const BOTTOM = 46;
const ROW = 20;
const LETTER = 6.6;
const BESIDE = 7; // pixels between series at one place across

export interface Named {
  /** Number of the line, by which it has its colour and marker. */
  at: number;
  label: string;
  x: number;
  y: number;
}

export interface FigureLayout {
  height: number;
  top: number;
  bottom: number;
  y: Scale;
  /** Where a point of the line `at` stands across: beside those of other series that have the same value. */
  place: (point: FigurePoint, at: number) => number;
  across: { at: number; label: string }[];
  up: { at: number; label: string }[];
  legend: Named[];
}

export const pointsOf = (figure: Figure): FigurePoint[] => figure.lines.flatMap((line) => line.points);

export function figureLayout(figure: Figure, width: number): FigureLayout {
  const legend = named(figure, width);
  const top = 34 + (legend.at(-1)?.y ?? -ROW) + ROW;
  const bottom = top + (width < 560 ? 230 : 300);
  const points = pointsOf(figure);
  const log = figure.x.logarithmic;
  const wanted = Math.max(2, Math.floor((width - LEFT - RIGHT) / 90));
  const domain = log ? logExtent(points.map((point) => point.x)) : extent(points.map((point) => point.x));
  const x: Scale = (log ? logarithmic : linear)(domain, [LEFT, width - RIGHT]);
  const drawn = figure.lines.flatMap((line, at) => (line.points.length > 0 ? [at] : []));
  const apart = shared(figure) ? Math.min(BESIDE, 28 / drawn.length, width / 80) : 0;
  const range = extent(points.flatMap((point) => [point.y, point.low ?? point.y, point.high ?? point.y]));
  return {
    height: bottom + BOTTOM,
    top,
    bottom,
    y: linear(range, [bottom, top]),
    place: (point, at) => x(point.x) + apart * (drawn.indexOf(at) - (drawn.length - 1) / 2),
    across: (log ? logTicks : ticks)(...domain, wanted).map((at) => ({ at: x(at), label: compact(at) })),
    up: ticks(...range, 5).map((at) => ({ at, label: compact(at) })),
    legend,
  };
}

/** Whether two series have points at the same value across. */
function shared(figure: Figure): boolean {
  const values = figure.lines.map((line) => new Set(line.points.map((point) => point.x)));
  const all = values.flatMap((each) => [...each]);
  return new Set(all).size < all.length;
}

/** The lines that have points, in rows above the plot; none of a figure without series. */
function named(figure: Figure, width: number): Named[] {
  if (!figure.series) return [];
  let [x, y] = [LEFT, 0];
  const most = Math.floor((width - LEFT - RIGHT - 22) / LETTER);
  return figure.lines.flatMap((line, at) => {
    if (line.points.length === 0) return [];
    const label = line.label.length > most ? `${line.label.slice(0, most - 1)}…` : line.label;
    const wide = 34 + label.length * LETTER;
    if (x > LEFT && x + wide > width - RIGHT) [x, y] = [LEFT, y + ROW];
    const found = { at, label, x, y };
    x += wide;
    return [found];
  });
}
