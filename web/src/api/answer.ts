/** Answers of networks are open objects in OpenAPI, of a kind each; this reads out of them what pages show, and nothing it does not find. */
const record = (value: unknown): Record<string, unknown> => (typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {});
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const number = (value: unknown): number | null => (typeof value === "number" && Number.isFinite(value) ? value : null);
const words = (value: unknown): string | null => (typeof value === "string" ? value : null);

export interface Named {
  label: string;
  /** Probability of a class, share of the pixels; null where nobody said. */
  share: number | null;
  colour: string | null;
}

export interface DrawnBox {
  label: string;
  score: number;
  corners: [number, number, number, number];
  colour: string;
}

export type Answer =
  | { kind: "names"; names: Named[] }
  | { kind: "labels"; said: string[]; scores: Named[] }
  | { kind: "boxes"; boxes: DrawnBox[] }
  | { kind: "mask"; png: string; names: Named[] }
  | { kind: "text"; text: string; note: string }
  | { kind: "none" };

export function readAnswer(given: unknown): Answer {
  const found = record(given);
  if (typeof found.png === "string") return { kind: "mask", png: `data:image/png;base64,${found.png}`, names: named(found.classes) };
  if (Array.isArray(found.boxes)) return { kind: "boxes", boxes: boxes(found.boxes, number(found.sure) ?? 0) };
  if (Array.isArray(found.labels)) return { kind: "labels", said: found.labels.map(String), scores: named(found.scores) };
  if (Array.isArray(found.top) && found.top.length > 0) return { kind: "names", names: named(found.top) };
  if (Array.isArray(found.classes)) return { kind: "names", names: named(found.classes) };
  if (typeof found.label === "string") return { kind: "names", names: named([found]) };
  if (typeof found.text === "string") return { kind: "text", text: found.text, note: written(found) };
  if (Array.isArray(found.features)) return { kind: "text", text: `${found.features.length} features`, note: "a backbone without a classifier" };
  return { kind: "none" };
}

/** The size that boxes and masks are in. */
export function sizeOf(given: unknown): [number, number] | null {
  const [width, height] = [number(record(given).width), number(record(given).height)];
  return width !== null && height !== null ? [width, height] : null;
}

function named(value: unknown): Named[] {
  return list(value).map((each) => {
    const one = record(each);
    return { label: words(one.label) ?? "", share: number(one.probability) ?? number(one.share), colour: words(one.colour) };
  });
}

function boxes(value: unknown[], least: number): DrawnBox[] {
  return value.flatMap((each) => {
    const { label, score, corners, colour } = record(each);
    const [x1, y1, x2, y2] = list(corners).map(number);
    if (x1 == null || y1 == null || x2 == null || y2 == null || (number(score) ?? 0) < least) return [];
    return [{ label: words(label) ?? "", score: number(score) ?? 0, corners: [x1, y1, x2, y2] as const as DrawnBox["corners"], colour: words(colour) ?? "#ffffff" }];
  });
}

function written(found: Record<string, unknown>): string {
  const tokens = number(found.tokens);
  if (tokens === null) return "";
  return `${tokens} token${tokens === 1 ? "" : "s"}${found.ending === "length" ? ", cut at max_tokens" : ""}`;
}
