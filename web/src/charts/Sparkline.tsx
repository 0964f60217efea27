import { extent, linear } from "./scale";

interface Props {
  points: { x: number; y: number; marked: boolean }[];
  label: string;
  width?: number;
  height?: number;
}

/** A curve the size of a word. */
export function Sparkline({ points, label, width = 108, height = 30 }: Props) {
  const x = linear([0, 1], [3, width - 3]);
  const y = linear(extent(points.map((p) => p.y)), [height - 2, 2]);
  const d = points.map((p, i) => `${i === 0 ? "M" : "L"}${x(p.x).toFixed(1)} ${y(p.y).toFixed(1)}`).join("");
  return (
    <svg className="sparkline" width={width} height={height} viewBox={`0 0 ${width} ${height}`} role="img" aria-label={label}>
      <path d={d} fill="none" stroke="currentColor" strokeWidth={1.5} strokeLinejoin="round" />
      {points.filter((p) => p.marked).map((p) => (
        <circle key={p.x} cx={x(p.x)} cy={y(p.y)} r={2.6} fill="currentColor" />
      ))}
    </svg>
  );
}
