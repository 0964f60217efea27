/** What worst.json and precision-recall.json of a detector hold, read out of open objects: null where it is not what it should be. */
import { titleOf } from "./result";

type Bag = Record<string, unknown>;
const bag = (value: unknown): Bag => (typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Bag) : {});
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const number = (value: unknown): number => (typeof value === "number" && Number.isFinite(value) ? value : 0);
const numbers = (value: unknown): number[] => list(value).map(number);

/** x1, y1, x2, y2 in pixels of the image. */
export type Corners = [number, number, number, number];

export interface Box {
  corners: Corners;
  class: number;
  /** 1 for what the labels say. */
  score: number;
  /** Counts neither for nor against a detector. */
  ignored: boolean;
}

export interface WorstImage {
  name: string;
  size: [number, number];
  /** x, y, width, height on the sheet. */
  place: [number, number, number, number];
  f1: number;
  found: number;
  missed: number;
  wrong: number;
  /** By who says so, the labels first. */
  boxes: { title: string; boxes: Box[] }[];
}

export interface Worst {
  classes: string[];
  colours: string[];
  tested: number;
  /** From which score on a box counts for `f1`. */
  score: number;
  sheet: [number, number];
  images: WorstImage[];
}

const LABELS = "truth";
const WHO: Record<string, string> = { [LABELS]: "Labels" };

export function readWorst(value: unknown): Worst | null {
  const found = bag(value);
  const images = list(found.images).map(readImage);
  const [width, height] = numbers(found.sheet);
  if (images.length === 0 || !width || !height) return null;
  return { classes: list(found.classes).map(String), colours: list(found.colours).map(String), tested: number(found.tested), score: number(found.score), sheet: [width, height], images };
}

function readImage(value: unknown): WorstImage {
  const one = bag(value);
  const [x = 0, y = 0, width = 1, height = 1] = numbers(one.place);
  return {
    name: String(one.name),
    size: [number(one.width) || 1, number(one.height) || 1],
    place: [x, y, width, height],
    f1: number(one.f1),
    found: number(one.found),
    missed: number(one.missed),
    wrong: number(one.wrong),
    boxes: Object.entries(bag(one.boxes)).map(([name, rows]) => ({ title: WHO[name] ?? titleOf(name), boxes: list(rows).map((row) => readBox(row, name === LABELS)) })),
  };
}

function readBox(row: unknown, labelled: boolean): Box {
  const [x1 = 0, y1 = 0, x2 = 0, y2 = 0, of = 0, last = 0] = numbers(row);
  return { corners: [x1, y1, x2, y2], class: of, score: labelled ? 1 : last, ignored: labelled && last === 1 };
}

export interface PrecisionRecall {
  recall: number[];
  /** Thresholds of IoU, as they are written. */
  overlaps: string[];
  classes: string[];
  /** `at`: precision at each recall; null for a class without an object. */
  networks: { title: string; at: (name: string | null, overlap: string) => number[] | null }[];
}

/** `at(null, ...)` is the mean over the classes. */
export function readPrecision(value: unknown): PrecisionRecall | null {
  const recall = numbers(bag(value).recall);
  const networks = Object.entries(bag(bag(value).networks)).map(([name, network]) => ({ title: titleOf(name), mean: bag(bag(network).mean), byClass: bag(bag(network).per_class) }));
  const first = networks[0];
  if (!first || recall.length === 0) return null;
  return {
    recall,
    overlaps: Object.keys(first.mean),
    classes: Object.keys(first.byClass).filter((name) => first.byClass[name] !== null),
    networks: networks.map(({ title, mean, byClass }) => ({
      title,
      at: (name, overlap) => {
        const values = numbers((name === null ? mean : bag(byClass[name]))[overlap]);
        return values.length === recall.length ? values : null;
      },
    })),
  };
}
