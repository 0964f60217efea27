import { useState } from "react";

import type { Pareto } from "../api/types";
import { extent, ticks } from "../charts/scale";
import { figure } from "../lib/format";
import { Link, navigate } from "../router";
import { Card } from "./Layout";

const WIDTH = 640;
const HEIGHT = 320;
const EDGE = { left: 64, right: 16, top: 12, bottom: 40 };

/** Configurations by two figures; a click leads to the job. The front's points are in a list too, for those who see no plot. */
export function ParetoPlot({ pareto }: { pareto: Pareto }) {
  const [over, setOver] = useState<number | null>(null);
  const [lowX, highX] = extent(pareto.points.map((point) => point.x));
  const [lowY, highY] = extent(pareto.points.map((point) => point.y));
  const x = (value: number): number => EDGE.left + ((value - lowX) / (highX - lowX || 1)) * (WIDTH - EDGE.left - EDGE.right);
  const y = (value: number): number => HEIGHT - EDGE.bottom - ((value - lowY) / (highY - lowY || 1)) * (HEIGHT - EDGE.top - EDGE.bottom);
  const best = pareto.points.filter((point) => point.best);
  const shown = pareto.points.find((point) => point.configuration === over);
  return (
    <Card title={`${pareto.y.name} by ${pareto.x.name}`}>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={`${pareto.points.length} configurations, ${best.length} of them on the front`} style={{ width: "100%", maxWidth: WIDTH }}>
        {ticks(lowX, highX, 5).map((at) => (
          <g key={at}>
            <line x1={x(at)} x2={x(at)} y1={EDGE.top} y2={HEIGHT - EDGE.bottom} stroke="currentColor" opacity={0.12} />
            <text x={x(at)} y={HEIGHT - EDGE.bottom + 16} textAnchor="middle" fontSize={11} fill="currentColor">
              {figure(at, 3)}
            </text>
          </g>
        ))}
        {ticks(lowY, highY, 4).map((at) => (
          <g key={at}>
            <line x1={EDGE.left} x2={WIDTH - EDGE.right} y1={y(at)} y2={y(at)} stroke="currentColor" opacity={0.12} />
            <text x={EDGE.left - 8} y={y(at) + 4} textAnchor="end" fontSize={11} fill="currentColor">
              {figure(at, 3)}
            </text>
          </g>
        ))}
        <text x={(EDGE.left + WIDTH - EDGE.right) / 2} y={HEIGHT - 6} textAnchor="middle" fontSize={12} fill="currentColor">
          {pareto.x.name} ({pareto.x.direction})
        </text>
        <polyline points={best.map((point) => `${x(point.x)},${y(point.y)}`).join(" ")} fill="none" stroke="var(--accent, currentColor)" strokeWidth={1.5} />
        {pareto.points.map((point) => (
          <circle
            key={point.configuration}
            data-configuration={point.configuration}
            cx={x(point.x)}
            cy={y(point.y)}
            r={point.best ? 6 : 4}
            fill={point.best ? "var(--accent, currentColor)" : "currentColor"}
            opacity={point.best ? 1 : 0.45}
            stroke={point.configuration === 0 ? "currentColor" : "none"}
            strokeWidth={2}
            style={{ cursor: point.job ? "pointer" : "default" }}
            onMouseEnter={() => setOver(point.configuration)}
            onMouseLeave={() => setOver(null)}
            onClick={() => point.job && navigate(`/jobs/${point.job}`)}
          />
        ))}
      </svg>
      <p className="muted" aria-live="polite">
        {shown ? `Configuration ${shown.configuration}: ${pareto.y.name} ${figure(shown.y)}, ${pareto.x.name} ${figure(shown.x)}` : "No other configuration beats those on the line in both figures."}
      </p>
      <ul>
        {best.map((point) => (
          <li key={point.configuration}>
            {point.job ? <Link to={`/jobs/${point.job}`}>configuration {point.configuration}</Link> : `configuration ${point.configuration}`}: {figure(point.y)} at {figure(point.x)}
          </li>
        ))}
      </ul>
    </Card>
  );
}
