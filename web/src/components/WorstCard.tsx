import { useState } from "react";

import type { Box, Worst, WorstImage } from "../api/detected";
import { count, percent } from "../lib/format";
import { Card, Heads, Wide } from "./Layout";

const AT_FIRST = 6;
/** With more boxes than this in a picture their names would cover it. */
const NAMED = 8;
/** The width that a letter and a line of the names take, in pixels of the sheet. */
const LETTER = 5.9;
const LINE = 13;
/** Sides of a tile of the sheet, which larger pictures fill; smaller ones are not enlarged. */
const TILE = [320, 320] as const;

/** The test images that a student does worst on: what the labels, the teacher and the student say, from a score on that one sets. */
export function WorstCard({ worst, picture }: { worst: Worst; picture: string }) {
  const [least, setLeast] = useState(worst.score);
  const [all, setAll] = useState(false);
  const images = all ? worst.images : worst.images.slice(0, AT_FIRST);
  const seen = [...new Set(images.flatMap(({ boxes }) => boxes.flatMap((each) => above(each.boxes, least).map((box) => box.class))))].sort((a, b) => a - b);
  return (
    <Card title="The worst test images" aside={<span className="muted">{count(worst.images.length)} of {count(worst.tested)}, the worst first</span>}>
      <div className="row wrap picks">
        <label className="field slider">
          <span>
            Boxes from a score of <output>{least.toFixed(2)}</output> on
          </span>
          <input type="range" min={0.05} max={0.95} step={0.05} value={least} onChange={(event) => setLeast(Number(event.target.value))} />
        </label>
        <ul className="legend" aria-label="Classes">
          {seen.map((number) => (
            <li key={number}>
              <svg width={14} height={14} aria-hidden="true">
                <rect x={1} y={1} width={12} height={12} rx={2} fill={worst.colours[number]} stroke="currentColor" strokeOpacity={0.4} />
              </svg>
              {worst.classes[number]}
            </li>
          ))}
        </ul>
      </div>
      <ol className="worst">
        {images.map((image) => (
          <li key={image.name}>
            <Image image={image} worst={worst} picture={picture} least={least} />
          </li>
        ))}
      </ol>
      {worst.images.length > AT_FIRST && (
        <button type="button" className="button small" aria-expanded={all} onClick={() => setAll(!all)}>
          {all ? `Show the first ${AT_FIRST}` : `Show all ${count(worst.images.length)}`}
        </button>
      )}
      <p className="muted small">
        The order is by the F1 of the student&apos;s boxes with a score of at least {worst.score} against the objects of their class at an overlap (IoU) of 0.5, whatever the slider says.
      </p>
    </Card>
  );
}

/** What counts from a score on; labels always do. */
export const above = (boxes: Box[], least: number): Box[] => boxes.filter(({ score }) => score >= least);

function Image({ image, worst, picture, least }: { image: WorstImage; worst: Worst; picture: string; least: number }) {
  return (
    <>
      <p className="row wrap">
        <code>{image.name}</code>
        <span className="muted small">
          F1 {percent(image.f1, 0)}: {image.found} found, {image.missed} missed, {image.wrong} wrong
        </span>
      </p>
      <div className="panes">
        {image.boxes.map(({ title, boxes }) => (
          <figure key={title}>
            <figcaption className="small">
              {title}, {amount(above(boxes, least).length)}
            </figcaption>
            <Pane image={image} worst={worst} picture={picture} boxes={above(boxes, least)} label={`${image.name}: ${title}, ${amount(above(boxes, least).length)}`} />
          </figure>
        ))}
      </div>
      <details>
        <summary className="small">Boxes as a table</summary>
        <BoxTable image={image} worst={worst} least={least} />
      </details>
    </>
  );
}

const amount = (boxes: number): string => `${count(boxes)} ${boxes === 1 ? "box" : "boxes"}`;

/** The image cut out of the sheet, and boxes over it. */
function Pane({ image, worst, picture, boxes, label }: { image: WorstImage; worst: Worst; picture: string; boxes: Box[]; label: string }) {
  const [left, top, width, height] = image.place;
  const [across, down] = [width / image.size[0], height / image.size[1]];
  return (
    <svg viewBox={`${left} ${top} ${width} ${height}`} role="img" aria-label={label}>
      <image href={picture} x={0} y={0} width={worst.sheet[0]} height={worst.sheet[1]} />
      {boxes.map((box, at) => {
        const [x1, y1, x2, y2] = box.corners;
        const [x, y] = [left + x1 * across, top + y1 * down];
        const colour = worst.colours[box.class] ?? "#ffffff";
        const name = named(box, worst, boxes.length);
        return (
          <g key={at}>
            <rect className="box-halo" x={x} y={y} width={(x2 - x1) * across} height={(y2 - y1) * down} />
            <rect className="box" x={x} y={y} width={(x2 - x1) * across} height={(y2 - y1) * down} stroke={colour} strokeDasharray={box.ignored ? "4 3" : undefined}>
              <title>{spoken(box, worst)}</title>
            </rect>
            {name && <Name text={name} x={x} y={y} within={image.place} />}
          </g>
        );
      })}
    </svg>
  );
}

/** A name above its box, or in it where there is no room, inside the picture; as small as a picture that does not fill its tile of the sheet. */
function Name({ text, x, y, within: [left, top, width, height] }: { text: string; x: number; y: number; within: WorstImage["place"] }) {
  const scale = Math.min(1, Math.max(width / TILE[0], height / TILE[1]));
  const wide = text.length * LETTER + 6;
  const from = Math.max(left, Math.min(x, left + width - wide * scale));
  const over = y - LINE * scale >= top ? y - LINE * scale : y;
  return (
    <g transform={`translate(${from} ${over}) scale(${scale})`}>
      <rect className="box-name" width={wide} height={LINE} />
      <text className="box-name" x={3} y={LINE - 3.5}>
        {text}
      </text>
    </g>
  );
}

const scored = (box: Box): string => (box.score < 1 ? ` ${box.score.toFixed(2)}` : "");
const named = (box: Box, worst: Worst, of: number): string => (of > NAMED ? "" : `${worst.classes[box.class] ?? ""}${scored(box)}`);
const spoken = (box: Box, worst: Worst): string => `${worst.classes[box.class] ?? ""}${scored(box)}${box.ignored ? ", ignored" : ""}`;

function BoxTable({ image, worst, least }: { image: WorstImage; worst: Worst; least: number }) {
  return (
    <Wide label={`Boxes of ${image.name}`}>
      <table className="plain">
        <Heads names={["By", "Class", "Score", "x1", "y1", "x2", "y2"]} />
        <tbody>
          {image.boxes.flatMap(({ title, boxes }) =>
            above(boxes, least).map((box, at) => (
              <tr key={`${title} ${at}`}>
                <th scope="row">{title}</th>
                <td>
                  {worst.classes[box.class]}
                  {box.ignored ? " (ignored)" : ""}
                </td>
                <td>{box.score < 1 ? box.score.toFixed(2) : ""}</td>
                {box.corners.map((value, corner) => (
                  <td key={corner}>{value}</td>
                ))}
              </tr>
            )),
          )}
        </tbody>
      </table>
    </Wide>
  );
}
