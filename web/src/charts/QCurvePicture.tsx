/** The Q curve as one self-contained SVG: Q large, then S, I and E on the same axis of relative depth. */
import type { CurvePoint } from "../api/types";
import { FONT, type Palette } from "./palette";
import { decimals, extent, linear, type Scale, ticks } from "./scale";

export type Field = "quality" | "separation" | "information" | "efficiency";

export const FIELDS: { field: Field; letter: string; name: string; error: string }[] = [
  { field: "quality", letter: "Q", name: "knowledge quality", error: "quality" },
  { field: "separation", letter: "S", name: "separation", error: "separation" },
  { field: "information", letter: "I", name: "information", error: "information" },
  { field: "efficiency", letter: "E", name: "efficiency", error: "efficiency" },
];

export interface PictureProps {
  layers: CurvePoint[];
  totalLayers: number | null;
  chosen: number[];
  width: number;
  palette: Palette;
  /** Index of the layer under the pointer or the keyboard. */
  active: number | null;
  title: string;
}

const LEFT = 46;
const RIGHT = 16;
const TOP = 40;
const GAP = 30;
const BOTTOM = 42;

export interface Layout {
  height: number;
  panels: { field: Field; top: number; height: number }[];
  x: Scale;
}

export function layout(width: number): Layout {
  const large = width < 560 ? 220 : 280;
  const small = width < 560 ? 84 : 96;
  let top = TOP;
  const panels = FIELDS.map(({ field }) => {
    const height = field === "quality" ? large : small;
    const panel = { field, top, height };
    top += height + GAP;
    return panel;
  });
  return { height: top - GAP + BOTTOM, panels, x: linear([0, 1], [LEFT, width - RIGHT]) };
}

export function QCurvePicture(props: PictureProps) {
  const { layers, totalLayers, width, palette: colours, active, title } = props;
  const plan = layout(width);
  const bottom = plan.height - BOTTOM;
  const current = layers.find((layer) => layer.index === active);
  const missing = totalLayers === null ? [] : Array.from({ length: totalLayers }, (_, i) => i).filter((i) => !layers.some((l) => l.index === i));
  return (
    <svg xmlns="http://www.w3.org/2000/svg" width={width} height={plan.height} viewBox={`0 0 ${width} ${plan.height}`} fontFamily={FONT} fontSize={12}>
      <title>{title}</title>
      <rect width={width} height={plan.height} fill={colours.ground} />
      {plan.panels.map((panel) => (
        <Panel key={panel.field} {...props} panel={panel} x={plan.x} />
      ))}
      {totalLayers !== null &&
        missing.map((index) => {
          const x = plan.x((index + 1) / totalLayers);
          return <line key={index} x1={x} x2={x} y1={bottom} y2={bottom + 4} stroke={colours.muted} strokeDasharray="1 1" />;
        })}
      <DepthAxis x={plan.x} bottom={bottom} colours={colours} width={width} />
      {current && (
        <line x1={plan.x(current.relative_depth)} x2={plan.x(current.relative_depth)} y1={TOP - 6} y2={bottom} stroke={colours.ink} strokeOpacity={0.45} />
      )}
    </svg>
  );
}

function DepthAxis({ x, bottom, colours, width }: { x: Scale; bottom: number; colours: Palette; width: number }) {
  return (
    <g fill={colours.muted}>
      <line x1={LEFT} x2={width - RIGHT} y1={bottom} y2={bottom} stroke={colours.muted} strokeOpacity={0.7} />
      {[0, 0.2, 0.4, 0.6, 0.8, 1].map((depth) => (
        <text key={depth} x={x(depth)} y={bottom + 18} textAnchor={depth === 1 ? "end" : "middle"}>
          {depth}
        </text>
      ))}
      <text x={(LEFT + width - RIGHT) / 2} y={bottom + 35} textAnchor="middle">
        relative depth
      </text>
    </g>
  );
}

interface PanelProps extends PictureProps {
  panel: Layout["panels"][number];
  x: Scale;
}

function Panel({ panel, x, layers, totalLayers, chosen, palette: colours, width, active }: PanelProps) {
  const info = FIELDS.find(({ field }) => field === panel.field);
  const colour = colours[panel.field];
  const bottom = panel.top + panel.height;
  const domain = domainOf(layers, panel.field, info?.error ?? "");
  const y = linear(domain, [bottom, panel.top]);
  const main = panel.field === "quality";
  const band = Math.min(26, 0.8 * (x(1 / Math.max(2, totalLayers ?? layers.length)) - x(0)));
  return (
    <g>
      <text x={LEFT} y={panel.top - 12} fill={colours.ink} fontWeight={600} fontSize={main ? 14 : 12}>
        {info?.letter}
        <tspan fill={colours.muted} fontWeight={400} dx={6}>
          {info?.name}
          {main && width >= 480 ? "  Q = S + √(I·E)" : ""}
        </tspan>
      </text>
      {ticks(domain[0], domain[1], main ? 5 : 3).map((tick) => (
        <g key={tick}>
          <line x1={LEFT} x2={width - RIGHT} y1={y(tick)} y2={y(tick)} stroke={colours.grid} />
          <text x={LEFT - 8} y={y(tick) + 4} textAnchor="end" fill={colours.muted} fontSize={11}>
            {decimals(tick)}
          </text>
        </g>
      ))}
      {chosen.map((index) => {
        const layer = layers.find((each) => each.index === index);
        if (!layer) return null;
        return <rect key={index} x={x(layer.relative_depth) - band / 2} width={band} y={panel.top} height={panel.height} fill={colours.accent} fillOpacity={0.1} />;
      })}
      <Errors layers={layers} field={panel.field} error={info?.error ?? ""} x={x} y={y} colour={colour} />
      {segments(layers).map((run) => (
        <path key={run[0]?.index} d={path(run, panel.field, x, y)} fill="none" stroke={colour} strokeWidth={main ? 2.6 : 1.8} strokeLinejoin="round" strokeLinecap="round" />
      ))}
      {layers.map((layer) => (
        <Dot key={layer.index} cx={x(layer.relative_depth)} cy={y(layer[panel.field])} chosen={chosen.includes(layer.index)} active={layer.index === active} main={main} colour={colour} ground={colours.ground} />
      ))}
      {main && <Names layers={layers} chosen={chosen} x={x} y={y} top={panel.top} width={width} colours={colours} />}
    </g>
  );
}

function domainOf(layers: CurvePoint[], field: Field, error: string): [number, number] {
  const values = layers.flatMap((layer) => {
    const spread = layer.standard_error?.[error] ?? 0;
    return [layer[field] - spread, layer[field] + spread];
  });
  const [low, high] = extent(values, field === "quality" ? 0.12 : 0.08);
  return field === "information" || field === "efficiency" ? [Math.max(0, low), high] : [low, high];
}

/** Runs of neighbouring layers: no line is drawn across a layer that is not scored yet. */
export function segments(layers: CurvePoint[]): CurvePoint[][] {
  const runs: CurvePoint[][] = [];
  for (const layer of layers) {
    const run = runs.at(-1);
    if (run && run.at(-1)?.index === layer.index - 1) run.push(layer);
    else runs.push([layer]);
  }
  return runs;
}

const path = (run: CurvePoint[], field: Field, x: Scale, y: Scale): string =>
  run.map((layer, i) => `${i === 0 ? "M" : "L"}${x(layer.relative_depth).toFixed(1)} ${y(layer[field]).toFixed(1)}`).join("");

function Errors({ layers, field, error, x, y, colour }: { layers: CurvePoint[]; field: Field; error: string; x: Scale; y: Scale; colour: string }) {
  return (
    <g stroke={colour} strokeOpacity={0.55}>
      {layers.map((layer) => {
        const spread = layer.standard_error?.[error];
        if (!spread) return null;
        const at = x(layer.relative_depth);
        return <line key={layer.index} x1={at} x2={at} y1={y(layer[field] - spread)} y2={y(layer[field] + spread)} />;
      })}
    </g>
  );
}

interface DotProps {
  cx: number;
  cy: number;
  chosen: boolean;
  active: boolean;
  main: boolean;
  colour: string;
  ground: string;
}

function Dot({ cx, cy, chosen, active, main, colour, ground }: DotProps) {
  const radius = (main ? (chosen ? 6.5 : 3.6) : chosen ? 4 : 2.4) + (active ? 1.5 : 0);
  return (
    <g>
      {chosen && main && <circle cx={cx} cy={cy} r={radius + 4} fill={colour} fillOpacity={0.18} />}
      <circle cx={cx} cy={cy} r={radius} fill={chosen || active ? colour : ground} stroke={colour} strokeWidth={main ? 1.8 : 1.4} />
    </g>
  );
}

interface NamesProps {
  layers: CurvePoint[];
  chosen: number[];
  x: Scale;
  y: Scale;
  top: number;
  width: number;
  colours: Palette;
}

const HALF_LETTER = 3.3;

/** The end of a name that is wider than `room` pixels: it tells layers apart. */
function fitting(name: string, room: number): string {
  const letters = Math.max(8, Math.floor((room - 8) / (2 * HALF_LETTER)));
  return name.length > letters ? `…${name.slice(1 - letters)}` : name;
}

/** Names of the chosen layers, above their dots; lifted where they would touch. */
function Names({ layers, chosen, x, y, top, width, colours }: NamesProps) {
  const placed: { left: number; right: number; y: number }[] = [];
  return (
    <g fill={colours.accent} fontSize={11.5} fontWeight={600}>
      {layers
        .filter((layer) => chosen.includes(layer.index))
        .map((layer) => {
          const name = fitting(layer.name, width - LEFT - RIGHT);
          const half = name.length * HALF_LETTER + 4;
          const cx = Math.min(Math.max(x(layer.relative_depth), LEFT + half), width - RIGHT - half);
          let cy = Math.max(y(layer.quality) - 16, top + 8);
          const clash = (): boolean => placed.some((p) => p.right > cx - half && p.left < cx + half && Math.abs(p.y - cy) < 14);
          while (clash() && cy > top + 4) cy -= 14;
          if (clash()) cy = y(layer.quality) + 24;
          while (clash()) cy += 14;
          placed.push({ left: cx - half, right: cx + half, y: cy });
          return (
            <text key={layer.index} x={cx} y={cy} textAnchor="middle" stroke={colours.ground} strokeWidth={3.5} paintOrder="stroke">
              {name}
            </text>
          );
        })}
    </g>
  );
}
