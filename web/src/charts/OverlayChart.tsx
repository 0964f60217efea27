import type { CurvePoint } from "../api/types";
import { useTheme } from "../theme";
import { palette } from "./palette";
import { FIELDS, type Field, segments } from "./QCurvePicture";
import { decimals, extent, linear, ticks } from "./scale";
import { useWidth } from "./useWidth";

export interface Overlay {
  name: string;
  layers: CurvePoint[];
  chosen: number[];
}

const HEIGHT = 330;
const DASHES = ["", "7 4", "2 3", "10 3 2 3"];

/** Several jobs' curves on one axis of relative depth, told apart by colour and by dash. */
export function OverlayChart({ overlays, field }: { overlays: Overlay[]; field: Field }) {
  const [box, width] = useWidth();
  const colours = palette(useTheme());
  const domain = extent(overlays.flatMap(({ layers }) => layers.map((layer) => layer[field])));
  const x = linear([0, 1], [46, width - 14]);
  const y = linear(domain, [HEIGHT - 40, 14]);
  const letter = FIELDS.find((each) => each.field === field)?.letter ?? "";
  const label = overlays.map(({ name, layers }) => `${name}: ${layers.length} layers, ${letter} at most ${peak(layers, field)}`).join("; ");
  return (
    <div ref={box}>
      <svg width={width} height={HEIGHT} viewBox={`0 0 ${width} ${HEIGHT}`} role="img" aria-label={label} fontSize={12}>
        {ticks(domain[0], domain[1], 5).map((tick) => (
          <g key={tick}>
            <line x1={46} x2={width - 14} y1={y(tick)} y2={y(tick)} stroke={colours.grid} />
            <text x={38} y={y(tick) + 4} textAnchor="end" fill={colours.muted}>
              {decimals(tick)}
            </text>
          </g>
        ))}
        {[0, 0.2, 0.4, 0.6, 0.8, 1].map((depth) => (
          <text key={depth} x={x(depth)} y={HEIGHT - 20} textAnchor={depth === 1 ? "end" : "middle"} fill={colours.muted}>
            {depth}
          </text>
        ))}
        <text x={width / 2} y={HEIGHT - 4} textAnchor="middle" fill={colours.muted}>
          relative depth
        </text>
        {overlays.map(({ name, layers, chosen }, at) => {
          const colour = colours.series[at % colours.series.length];
          return (
            <g key={name + String(at)}>
              {segments(layers).map((run) => (
                <path
                  key={run[0]?.index}
                  d={run.map((layer, i) => `${i === 0 ? "M" : "L"}${x(layer.relative_depth).toFixed(1)} ${y(layer[field]).toFixed(1)}`).join("")}
                  fill="none"
                  stroke={colour}
                  strokeWidth={2.2}
                  strokeDasharray={DASHES[at % DASHES.length]}
                  strokeLinejoin="round"
                />
              ))}
              {layers.map((layer) => (
                <circle key={layer.index} cx={x(layer.relative_depth)} cy={y(layer[field])} r={chosen.includes(layer.index) ? 5.5 : 2} fill={colour}>
                  <title>{`${name}, ${layer.name}: ${letter} ${decimals(layer[field])}`}</title>
                </circle>
              ))}
            </g>
          );
        })}
      </svg>
      <p className="muted small">Large dots are the layers each job chose.</p>
    </div>
  );
}

const peak = (layers: CurvePoint[], field: Field): string => (layers.length === 0 ? "unknown" : decimals(Math.max(...layers.map((layer) => layer[field]))));
