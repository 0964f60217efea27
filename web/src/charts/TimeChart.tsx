import { useEffect, useId, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

import { figure } from "../lib/format";
import { useTheme } from "../theme";
import { FONT, palette } from "./palette";
import { useWidth } from "./useWidth";

export interface Series {
  name: string;
  values: (number | null)[];
  dash?: number[];
  /** Draw points, for series with few of them. */
  points?: boolean;
}

export interface Mark {
  x: number;
  label: string;
}

interface Props {
  title: string;
  x: number[];
  series: Series[];
  marks?: Mark[];
  log?: boolean;
  percent?: boolean;
  height?: number;
  /** Changes when x or series have grown in place. */
  version: number;
}

/** Lines over training steps. uPlot draws on a canvas and keeps up with a hundred thousand points. */
export function TimeChart({ title, x, series, marks = [], log = false, percent = false, height = 210, version }: Props) {
  const [box, width] = useWidth(480);
  const mount = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const theme = useTheme();
  const latest = useRef({ marks });
  latest.current = { marks };
  const shape = series.map((each) => each.name).join("\n");
  const caption = useId();

  useEffect(() => {
    if (!mount.current) return undefined;
    const made = new uPlot(options({ width, height, theme, log, percent, series, marks: () => latest.current.marks }), aligned(x, series), mount.current);
    plot.current = made;
    return () => {
      plot.current = null;
      made.destroy();
    };
    // Data and size are given below without making the plot anew.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [shape, theme, log, percent, height]);

  useEffect(() => {
    plot.current?.setData(aligned(x, series));
  }, [version, x, series]);
  useEffect(() => {
    plot.current?.setSize({ width, height });
  }, [width, height]);

  return (
    <figure className="chart" ref={box as never} aria-labelledby={caption}>
      <figcaption id={caption}>
        <strong>{title}</strong>
        <span className="visually-hidden">{summary(x, series)}</span>
      </figcaption>
      <div ref={mount} aria-hidden="true" />
    </figure>
  );
}

const aligned = (x: number[], series: Series[]): uPlot.AlignedData => [x, ...series.map((each) => each.values)];

/** What a chart shows, in words. */
export function summary(x: number[], series: Series[]): string {
  const last = x.at(-1);
  if (last === undefined) return " No values yet.";
  const ends = series.map((each) => {
    const at = each.values.findLastIndex((value) => value !== null);
    return `${each.name} ${at < 0 ? "has no value" : `${figure(each.values[at])} at step ${x[at]}`}`;
  });
  return ` ${x.length} steps. ${ends.join("; ")}.`;
}

interface Wanted {
  width: number;
  height: number;
  theme: "light" | "dark";
  log: boolean;
  percent: boolean;
  series: Series[];
  marks: () => Mark[];
}

function options({ width, height, theme, log, percent, series, marks }: Wanted): uPlot.Options {
  const colours = palette(theme);
  const value = (_: uPlot, raw: number | null): string => (raw === null ? "–" : percent ? `${(100 * raw).toFixed(2)} %` : figure(raw));
  const axis = { stroke: colours.muted, font: `11px ${FONT}`, grid: { stroke: colours.grid, width: 1 }, ticks: { show: false } };
  return {
    width,
    height,
    cursor: { sync: { key: "training" }, points: { size: 7 }, drag: { x: true, y: false } },
    scales: { x: { time: false }, y: log ? { distr: 3 } : {} },
    axes: [
      { ...axis, values: (_, at) => at.map((step) => (step >= 10_000 ? `${step / 1000}k` : String(step))) },
      { ...axis, size: 54, values: (_, at) => at.map((tick) => (tick === null ? "" : percent ? `${Number((100 * tick).toFixed(2))} %` : figure(tick, 3))) },
    ],
    series: [
      { label: "step" },
      ...series.map((each, index) => {
        const colour = colours.series[index % colours.series.length] ?? colours.accent;
        return { label: each.name, stroke: colour, width: 1.6, dash: each.dash, spanGaps: true, value, points: { show: each.points ?? false, size: 5, fill: colour } };
      }),
    ],
    legend: { live: true },
    hooks: {
      draw: [(plot) => drawMarks(plot, marks(), colours.muted)],
      // Without a pointer the legend tells the last values, not dashes.
      setCursor: [(plot) => plot.cursor.idx === null && showLast(plot)],
      setData: [(plot) => plot.cursor.idx === null && showLast(plot)],
      ready: [showLast],
    },
  };
}

function showLast(plot: uPlot): void {
  const idxs = plot.data.map((values) => Math.max(0, (values as (number | null)[]).findLastIndex((value) => value !== null && value !== undefined)));
  if ((plot.data[0]?.length ?? 0) > 0) plot.setLegend({ idxs }, false);
}

function drawMarks(plot: uPlot, marks: Mark[], colour: string): void {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = colour;
  ctx.setLineDash([4, 4]);
  ctx.font = `${11 * devicePixelRatio}px ${FONT}`;
  for (const mark of marks) {
    const at = Math.round(plot.valToPos(mark.x, "x", true));
    if (at < bbox.left || at > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(at, bbox.top);
    ctx.lineTo(at, bbox.top + bbox.height);
    ctx.stroke();
    ctx.fillText(mark.label, at + 4 * devicePixelRatio, bbox.top + 12 * devicePixelRatio);
  }
  ctx.restore();
}
