import { type KeyboardEvent, type PointerEvent, useId, useMemo, useState } from "react";

import type { Figure, FigureLine, FigurePoint } from "../api/types";
import { figure as number } from "../lib/format";
import { assigned, seeds } from "../lib/studies";
import { useTheme } from "../theme";
import { FigurePicture } from "./FigurePicture";
import { figureLayout } from "./figureLayout";
import { palette } from "./palette";
import { useWidth } from "./useWidth";
import { walked } from "./walk";

interface Props {
  figure: Figure;
  title: string;
  onOpen: (job: string) => void;
}

type Place = { point: FigurePoint; line: FigureLine; at: number };
const NEAR = 28; // pixels: what is farther from a point is no click on it

/** A study's figure to look at and to walk along: pointer, or arrow keys when focused; Enter and a click lead to the job. */
export function FigureChart({ figure, title, onOpen }: Props) {
  const [box, width] = useWidth();
  const [active, setActive] = useState<number | null>(null);
  const colours = palette(useTheme());
  const plan = useMemo(() => figureLayout(figure, width), [figure, width]);
  const hint = useId();
  const order = useMemo(() => places(figure), [figure]);
  const current = order.find(({ point }) => point.configuration === active) ?? null;

  function nearest(event: PointerEvent | React.MouseEvent): { place: Place; far: number } | null {
    const from = event.currentTarget.getBoundingClientRect();
    const far = ({ point, at }: Place): number => Math.hypot(plan.place(point, at) - (event.clientX - from.left), plan.y(point.y) - (event.clientY - from.top));
    return order.reduce<{ place: Place; far: number } | null>((best, place) => (best && best.far <= far(place) ? best : { place, far: far(place) }), null);
  }

  function click(event: React.MouseEvent): void {
    const found = nearest(event);
    if (found && found.far < NEAR && found.place.point.job) onOpen(found.place.point.job);
  }

  function key(event: KeyboardEvent): void {
    if (event.key === "Escape") setActive(null);
    if (event.key === "Enter" && current?.point.job) onOpen(current.point.job);
    const at = order.findIndex(({ point }) => point.configuration === active);
    const next = walked(event, at, order.length - 1);
    if (next !== undefined) setActive(order[next]?.point.configuration ?? null);
  }

  return (
    <div className="qcurve" ref={box}>
      {/* An application: arrow keys walk along the points, which no native role offers for a picture. */}
      <div
        className="qcurve-stage"
        role="application"
        aria-roledescription="interactive chart"
        aria-label={title}
        aria-describedby={hint}
        tabIndex={0}
        onPointerMove={(event) => setActive(nearest(event)?.place.point.configuration ?? null)}
        onPointerLeave={() => setActive(null)}
        onClick={click}
        onKeyDown={key}
        onBlur={() => setActive(null)}
      >
        <div aria-hidden="true" data-picture="">
          <FigurePicture figure={figure} plan={plan} width={width} palette={colours} active={active} title={title} />
        </div>
        {current && <Tip place={current} figure={figure} x={plan.place(current.point, current.at)} width={width} />}
      </div>
      <p id={hint} className="visually-hidden">
        Arrow keys walk along the configurations, Enter opens the job.
      </p>
      <p className="visually-hidden" aria-live="polite">
        {current && spoken(current, figure)}
      </p>
    </div>
  );
}

/** All points from left to right. */
function places(figure: Figure): Place[] {
  return figure.lines.flatMap((line, at) => line.points.map((point) => ({ point, line, at }))).sort((a, b) => a.point.x - b.point.x || a.point.configuration - b.point.configuration);
}

const headed = ({ configuration }: FigurePoint): string => (configuration === 0 ? "Base job" : `Configuration ${configuration}`);

/** `0.91 (0.9 to 0.92), 3 seeds`; without an interval where there is none. */
export function height(point: FigurePoint): string {
  const span = point.low === null || point.high === null ? "" : ` (${number(point.low)} to ${number(point.high)})`;
  return `${number(point.y)}${span}, ${seeds(point.n)}`;
}

export function spoken({ point, line }: Place, figure: Figure): string {
  const series = figure.series ? `, ${figure.series.label} ${line.label}` : "";
  const layer = point.layer === null ? "" : ` of ${point.layer}`;
  return `${headed(point)}${series}: ${figure.x.label}${layer} ${number(point.x)}, ${figure.y.label} ${height(point)}.`;
}

function Tip({ place: { point, line }, figure, x, width }: { place: Place; figure: Figure; x: number; width: number }) {
  return (
    <div className="tip" style={x > width / 2 ? { right: width - x + 14 } : { left: x + 14 }} aria-hidden="true">
      <strong>
        {headed(point)}
        {figure.series ? ` · ${line.label}` : ""}
      </strong>
      <span className="muted">{assigned(point.assignment)}</span>
      <span>
        <b>{figure.y.label}</b> {height(point)}
      </span>
      <span>
        <b>{figure.x.label}</b> {point.layer !== null && `${point.layer}, `}
        {number(point.x)}
      </span>
    </div>
  );
}
