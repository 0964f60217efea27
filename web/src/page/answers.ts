// What the file's output means, by the kind of answer. `output`: row by row; `dims`: of it, the batch first.
import type { Described } from "./described";
import { fittedSize } from "./seeing";

export type Output = { data: Float32Array; dims: readonly number[] };
export type Score = { index: number; label: string; score: number };
export type Found = Score & { corners: [number, number, number, number] };
export type Size = { width: number; height: number };

const ranked = (scores: number[], classes: string[]): Score[] =>
  scores.map((score, index) => ({ index, label: classes[index] ?? String(index), score })).sort((a, b) => b.score - a.score || a.index - b.index);

/** Softmax of the logits, the most probable first. */
export function classesOf(output: Output, told: Described): Score[] {
  const logits = [...output.data];
  const most = Math.max(...logits);
  const powers = logits.map((value) => Math.exp(value - most));
  const sum = powers.reduce((total, value) => total + value, 0);
  return ranked(powers.map((value) => value / sum), told.classes);
}

/** Sigmoid of each logit, the most probable first. */
export const labelsOf = (output: Output, told: Described): Score[] => ranked([...output.data].map((value) => 1 / (1 + Math.exp(-value))), told.classes);

/** Rows x1 y1 x2 y2 score class in pixels of the input -> boxes in pixels of the picture, held to it. */
export function boxesOf(output: Output, told: Described, picture: Size): Found[] {
  const shown = fittedSize(picture, told.input);
  const found: Found[] = [];
  for (let at = 0; at + 5 < output.data.length; at += 6) {
    const [x1, y1, x2, y2, score, index] = output.data.slice(at, at + 6) as unknown as [number, number, number, number, number, number];
    if (index < 0) continue;
    const x = (value: number) => Math.min(picture.width, Math.max(0, (value * picture.width) / shown.width));
    const y = (value: number) => Math.min(picture.height, Math.max(0, (value * picture.height) / shown.height));
    found.push({ index, label: told.classes[index] ?? String(index), score, corners: [x(x1), y(y1), x(x2), y(y2)] });
  }
  return found;
}

/** The pixels that a bilinear value lies between, without corners aligned, and how much of the second. */
function between(count: number, size: number): { low: Int32Array; high: Int32Array; part: Float32Array } {
  const [low, high, part] = [new Int32Array(count), new Int32Array(count), new Float32Array(count)];
  for (let i = 0; i < count; i++) {
    const place = Math.max(0, ((i + 0.5) * size) / count - 0.5);
    low[i] = Math.min(size - 1, Math.floor(place));
    high[i] = Math.min(size - 1, low[i]! + 1);
    part[i] = place - low[i]!;
  }
  return { low, high, part };
}

/** Logits (1, C, h, w) resized bilinearly to the picture; the class of each pixel. */
export function maskOf({ data, dims }: Output, picture: Size): Uint16Array {
  const [, classes = 1, height = 1, width = 1] = dims;
  const [rows, columns] = [between(picture.height, height), between(picture.width, width)];
  const found = new Uint16Array(picture.width * picture.height);
  const best = new Float32Array(picture.width);
  for (let y = 0; y < picture.height; y++) {
    best.fill(-Infinity);
    const down = rows.part[y]!;
    for (let c = 0; c < classes; c++) {
      const upper = (c * height + rows.low[y]!) * width;
      const lower = (c * height + rows.high[y]!) * width;
      for (let x = 0; x < picture.width; x++) {
        const [left, right, along] = [columns.low[x]!, columns.high[x]!, columns.part[x]!];
        const above = data[upper + left]! * (1 - along) + data[upper + right]! * along;
        const below = data[lower + left]! * (1 - along) + data[lower + right]! * along;
        const value = above * (1 - down) + below * down;
        if (value > best[x]!) {
          best[x] = value;
          found[y * picture.width + x] = c;
        }
      }
    }
  }
  return found;
}

/** The classes that a mask has, with their share of its pixels, the largest first. */
export function sharesOf(mask: Uint16Array, classes: string[]): Score[] {
  const counts = new Array<number>(classes.length).fill(0);
  for (const index of mask) counts[index]! += 1;
  return ranked(counts.map((count) => count / mask.length), classes).filter(({ score }) => score > 0);
}
