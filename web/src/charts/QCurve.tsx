import { type KeyboardEvent, type PointerEvent, useId, useRef, useState } from "react";

import type { CurvePoint } from "../api/types";
import { figure } from "../lib/format";
import { useTheme } from "../theme";
import { FIELDS, layout, QCurvePicture } from "./QCurvePicture";
import { palette } from "./palette";
import { useWidth } from "./useWidth";
import { walked } from "./walk";

interface Props {
  layers: CurvePoint[];
  totalLayers: number | null;
  chosen: number[];
  title: string;
}

/** The curve to look at and to walk along: pointer, or arrow keys when focused; read aloud layer by layer. */
export function QCurve({ layers, totalLayers, chosen, title }: Props) {
  const [box, width] = useWidth();
  const [active, setActive] = useState<number | null>(null);
  const colours = palette(useTheme());
  const plan = layout(width);
  const hint = useId();
  const current = layers.find((layer) => layer.index === active) ?? null;
  const order = useRef(layers);
  order.current = layers;

  function move(event: PointerEvent): void {
    const left = event.currentTarget.getBoundingClientRect().left;
    const at = event.clientX - left;
    let best: CurvePoint | null = null;
    for (const layer of layers) {
      if (!best || Math.abs(plan.x(layer.relative_depth) - at) < Math.abs(plan.x(best.relative_depth) - at)) best = layer;
    }
    setActive(best?.index ?? null);
  }

  function key(event: KeyboardEvent): void {
    if (event.key === "Escape") setActive(null);
    const at = order.current.findIndex((layer) => layer.index === active);
    const next = walked(event, at, order.current.length - 1);
    if (next !== undefined) setActive(order.current[next]?.index ?? null);
  }

  return (
    <div className="qcurve" ref={box}>
      {/* An application: arrow keys walk along the layers, which no native role offers for a picture. */}
      <div
        className="qcurve-stage"
        role="application"
        aria-roledescription="interactive chart"
        aria-label={title}
        aria-describedby={hint}
        tabIndex={0}
        onPointerMove={move}
        onPointerLeave={() => setActive(null)}
        onKeyDown={key}
        onBlur={() => setActive(null)}
      >
        <div aria-hidden="true" data-picture="">
          <QCurvePicture layers={layers} totalLayers={totalLayers} chosen={chosen} width={width} palette={colours} active={active} title={title} />
        </div>
        {current && <Tip layer={current} chosen={chosen.includes(current.index)} x={plan.x(current.relative_depth)} width={width} />}
      </div>
      <p id={hint} className="visually-hidden">
        Arrow keys walk along the layers.
      </p>
      <p className="visually-hidden" aria-live="polite">
        {current && spoken(current, chosen.includes(current.index))}
      </p>
    </div>
  );
}

export function spoken(layer: CurvePoint, chosen: boolean): string {
  const values = FIELDS.map(({ field, letter }) => `${letter} ${figure(layer[field], 3)}`).join(", ");
  return `Layer ${layer.index}, ${layer.name}, ${layer.kind}: ${values}${chosen ? ". Chosen." : "."}`;
}

function Tip({ layer, chosen, x, width }: { layer: CurvePoint; chosen: boolean; x: number; width: number }) {
  const right = x > width / 2;
  return (
    <div className="tip" style={right ? { right: width - x + 14 } : { left: x + 14 }} aria-hidden="true">
      <strong>{layer.name}</strong>
      <span className="muted">
        {layer.kind}, {layer.shape.join(" × ")}, depth {figure(layer.relative_depth, 3)}
        {layer.pooled ? ", pooled" : ""}
      </span>
      <dl>
        {FIELDS.map(({ field, letter }) => (
          <div key={field} data-field={field}>
            <dt>{letter}</dt>
            <dd>
              {figure(layer[field], 4)}
              {layer.standard_error?.[field] ? <span className="muted"> ± {figure(layer.standard_error[field], 2)}</span> : null}
            </dd>
          </div>
        ))}
      </dl>
      {chosen && <span className="tip-chosen">chosen</span>}
    </div>
  );
}
