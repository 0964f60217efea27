/** A study's figure as one self-contained SVG: points with intervals in series, told apart by colour and by marker. */
import type { Figure, FigureLine, FigurePoint } from "../api/types";
import { type FigureLayout, LEFT, RIGHT } from "./figureLayout";
import { FONT, type Palette } from "./palette";

interface Props {
  figure: Figure;
  plan: FigureLayout;
  width: number;
  palette: Palette;
  /** The configuration under the pointer or the keyboard. */
  active: number | null;
  title: string;
}

/** Outlines within a circle of radius 1, in the order of the series. */
const MARKERS = [
  "M1 0A1 1 0 1 1 -1 0A1 1 0 1 1 1 0Z",
  "M-.87 -.87H.87V.87H-.87Z",
  "M0 -1.2L1.2 0L0 1.2L-1.2 0Z",
  "M0 -1.15L1.1 .85H-1.1Z",
  "M0 1.15L1.1 -.85H-1.1Z",
  "M-.4 -1.1H.4V-.4H1.1V.4H.4V1.1H-.4V.4H-1.1V-.4H-.4Z",
  "M-1.15 -.6L-.6 -1.15L0 -.55L.6 -1.15L1.15 -.6L.55 0L1.15 .6L.6 1.15L0 .55L-.6 1.15L-1.15 .6L-.55 0Z",
  "M-1.1 -.2L-.2 -1.1H.2L1.1 -.2V.2L.2 1.1H-.2L-1.1 .2Z",
];

export function FigurePicture({ figure, plan, width, palette: colours, active, title }: Props) {
  const colour = (at: number): string => colours.series[at % colours.series.length] ?? colours.ink;
  return (
    <svg xmlns="http://www.w3.org/2000/svg" width={width} height={plan.height} viewBox={`0 0 ${width} ${plan.height}`} fontFamily={FONT} fontSize={12}>
      <title>{title}</title>
      <rect width={width} height={plan.height} fill={colours.ground} />
      <Axes figure={figure} plan={plan} width={width} colours={colours} />
      {plan.legend.map((each) => (
        <g key={each.at} data-series={each.label}>
          <Marker at={each.at} x={each.x + 6} y={each.y + 12} size={5} colour={colour(each.at)} ground={colours.ground} />
          <text x={each.x + 17} y={each.y + 16} fill={colours.ink}>
            {each.label}
          </text>
        </g>
      ))}
      <Layers figure={figure} plan={plan} width={width} colours={colours} />
      {figure.lines.map((line, at) => (
        <Series key={at} line={line} at={at} plan={plan} colour={colour(at)} ground={colours.ground} active={active} />
      ))}
    </svg>
  );
}

function Axes({ figure, plan, width, colours }: { figure: Figure; plan: FigureLayout; width: number; colours: Palette }) {
  const { top, bottom } = plan;
  return (
    <g fill={colours.muted}>
      <text x={LEFT} y={top - 12} fill={colours.ink} fontWeight={600}>
        {figure.y.label}
      </text>
      {plan.up.map(({ at, label }) => (
        <g key={at}>
          <line x1={LEFT} x2={width - RIGHT} y1={plan.y(at)} y2={plan.y(at)} stroke={colours.grid} />
          <text x={LEFT - 8} y={plan.y(at) + 4} textAnchor="end" fontSize={11}>
            {label}
          </text>
        </g>
      ))}
      {plan.across.map(({ at, label }) => (
        <g key={at}>
          <line x1={at} x2={at} y1={top} y2={bottom} stroke={colours.grid} />
          <text x={at} y={bottom + 18} textAnchor="middle" fontSize={11}>
            {label}
          </text>
        </g>
      ))}
      <line x1={LEFT} x2={width - RIGHT} y1={bottom} y2={bottom} stroke={colours.muted} strokeOpacity={0.7} />
      <text x={(LEFT + width - RIGHT) / 2} y={bottom + 37} textAnchor="middle">
        {figure.x.label}
        {figure.x.logarithmic ? " (logarithmic)" : ""}
      </text>
    </g>
  );
}

interface SeriesProps {
  line: FigureLine;
  at: number;
  plan: FigureLayout;
  colour: string;
  ground: string;
  active: number | null;
}

function Series({ line, at, plan, colour, ground, active }: SeriesProps) {
  const by = new Map(line.points.map((point) => [point.configuration, point]));
  const where = (point: FigurePoint): string => `${plan.place(point, at).toFixed(1)} ${plan.y(point.y).toFixed(1)}`;
  return (
    <g>
      {line.joined.map((numbers) => (
        <path
          key={numbers.join()}
          data-joined={numbers.join()}
          d={numbers.flatMap((number) => by.get(number) ?? []).map((point, i) => `${i === 0 ? "M" : "L"}${where(point)}`).join("")}
          fill="none"
          stroke={colour}
          strokeWidth={1.8}
          strokeLinejoin="round"
        />
      ))}
      {line.points.map((point) => (
        <Interval key={point.configuration} point={point} x={plan.place(point, at)} plan={plan} colour={colour} />
      ))}
      {line.points.map((point) => (
        <g key={point.configuration} data-configuration={point.configuration}>
          <Marker
            at={at} x={plan.place(point, at)} y={plan.y(point.y)} size={point.configuration === active ? 7 : 5} colour={colour} ground={ground}
            hollow={point.configuration === 0}
          />
        </g>
      ))}
    </g>
  );
}

/** With caps, so that its ends are seen on a grid. */
function Interval({ point, x, plan, colour }: { point: FigurePoint; x: number; plan: FigureLayout; colour: string }) {
  if (point.low === null || point.high === null) return null;
  const [low, high] = [plan.y(point.low), plan.y(point.high)];
  return <path data-interval={point.configuration} d={`M${x - 4} ${low}H${x + 4}M${x} ${low}V${high}M${x - 4} ${high}H${x + 4}`} fill="none" stroke={colour} strokeOpacity={0.8} strokeWidth={1.3} />;
}

interface MarkerProps {
  at: number;
  x: number;
  y: number;
  size: number;
  colour: string;
  ground: string;
  hollow?: boolean;
}

function Marker({ at, x, y, size, colour, ground, hollow = false }: MarkerProps) {
  return <path d={MARKERS[at % MARKERS.length]} transform={`translate(${x.toFixed(1)} ${y.toFixed(1)}) scale(${size})`} fill={hollow ? ground : colour} stroke={hollow ? colour : ground} strokeWidth={hollow ? 0.4 : 0.2} />;
}

const MOST_NAMES = 40;
const LETTER = 5.6;

/** Names of layers beside their points, while they are few; one that would lie on another or leave the picture stands on
 *  the other side, below, or, where there is no room, not at all: tip and table have it. */
function Layers({ figure, plan, width, colours }: { figure: Figure; plan: FigureLayout; width: number; colours: Palette }) {
  const named = figure.lines.flatMap((line, at) => line.points.map((point) => ({ point, at }))).filter(({ point }) => point.layer !== null);
  if (named.length > MOST_NAMES) return null;
  const taken: { left: number; right: number; y: number }[] = [];
  return (
    <g fill={colours.muted} fontSize={10.5} stroke={colours.ground} strokeWidth={3} paintOrder="stroke">
      {named.map(({ point, at }) => {
        const [x, y] = [plan.place(point, at), plan.y(point.y)];
        const wide = LETTER * (point.layer ?? "").length;
        const spots = [-5, 13].flatMap((down) => [{ left: x + 8, y: y + down }, { left: x - 8 - wide, y: y + down }]);
        const free = spots.find((spot) => spot.left >= LEFT && spot.left + wide <= width && taken.every((other) => spot.left > other.right || spot.left + wide < other.left || Math.abs(spot.y - other.y) > 11));
        if (!free) return null;
        taken.push({ ...free, right: free.left + wide });
        return (
          <text key={point.configuration} x={free.left} y={free.y}>
            {point.layer}
          </text>
        );
      })}
    </g>
  );
}
