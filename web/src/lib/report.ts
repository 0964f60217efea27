import type { Job } from "../api/types";

/** Inspection reports are open objects in OpenAPI; this reads out what the pages show. */
type Bag = Record<string, unknown>;

export type Warning = Pick<Job["warnings"][number], "code" | "message" | "remedy">;

export interface DatasetFindings {
  classes: string[];
  counts: { split: string; counts: number[] }[];
  /** Samples that have each class; of samples with several classes these are more than there are samples. */
  byClass: { split: string; counts: number[] }[];
  /** Each class's share of what is labelled in the training samples (pixels); empty where samples have one class each. */
  shares: number[];
  /** The share of pixels without a class in the training samples; null where there is no such thing. */
  unlabelled: number | null;
  /** Images without a label, by split; empty where every sample has one. */
  without: { split: string; images: number }[];
  /** How many labels images have, by split, where one may have several: the mean, the most, and how many have none. */
  labels: { split: string; mean: number; most: number; none: number }[];
  sizes: string;
  modes: string;
  corrupt: number;
  corruptExamples: [string, string][];
  duplicates: number | null;
  notes: string[];
  /** What is probably wrong with it; an older report says nothing. */
  warnings: Warning[];
  /** Null where the inspection counted no words. */
  text: TextFindings | null;
  /** Null where samples have no boxes. */
  boxes: BoxFindings | null;
}

export interface BoxFindings {
  byClass: { split: string; counts: number[] }[];
  /** By split: boxes; small, medium and large ones; ignored ones; images without a box; the most of an image. */
  splits: { split: string; amounts: number[] }[];
  faults: { what: string; amount: number; examples: string[] }[];
}

export interface TextFindings {
  form: string;
  /** Words and punctuation marks of a text: least, median, most. */
  words: number[];
  /** Words -> share of texts with more. */
  longer: [number, number][];
  examples: { label: string; first: string; second: string }[];
}

const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const bag = (value: unknown): Bag => (typeof value === "object" && value !== null ? (value as Bag) : {});
const number = (value: unknown): number | null => (typeof value === "number" ? value : null);
const text = (value: unknown): string => (typeof value === "string" ? value : "");

export function datasetFindings(report: Bag | null): DatasetFindings | null {
  if (!report) return null;
  const counts = bySplit(report.counts);
  const found = textFindings(report);
  return {
    classes: list(report.classes).map(String),
    counts,
    byClass: report.images_with ? bySplit(report.images_with) : counts,
    shares: list(bag(report.pixel_shares).train).map(Number),
    unlabelled: number(bag(report.unlabelled).train),
    without: Object.entries(bag(report.without_label)).map(([split, images]) => ({ split, images: Number(images) })).filter(({ images }) => images > 0),
    labels: Object.entries(bag(report.labels_per_image)).map(([split, each]) => ({ split, mean: Number(bag(each).mean), most: Number(bag(each).most), none: Number(bag(each).none) })),
    sizes: sizes(list(report.heights).map(Number), list(report.widths).map(Number)),
    modes: Object.entries((report.modes ?? {}) as Record<string, number>).filter(([, n]) => n > 0).map(([mode, n]) => `${n.toLocaleString("en-GB")} ${mode}`).join(", "),
    corrupt: number(report.corrupt) ?? 0,
    corruptExamples: Object.entries((report.corrupt_examples ?? {}) as Record<string, string>),
    duplicates: number(report.duplicates_between_splits),
    notes: list(report.notes).map(String),
    warnings: list(report.warnings).map(bag).map(({ code, message, remedy }) => ({ code: text(code), message: text(message), remedy: text(remedy) })),
    text: found,
    boxes: boxFindings(report),
  };
}

/** Kinds of faults in the order in which boxes are looked at. */
const FAULTS: Record<string, string> = {
  not_finite: "boxes with a number that is none were left out",
  other_unit: "boxes in another unit than the others were left out",
  inverted: "boxes with x2 left of x1 or y2 above y1 were left out",
  outside: "boxes outside of their image were left out",
  empty: "boxes without area were left out",
  clipped: "boxes ended beyond their image and were clipped",
  doubled: "boxes have the class and the corners of another one",
};

function boxFindings(report: Bag): BoxFindings | null {
  if (!report.boxes) return null;
  const byClass = bySplit(report.boxes);
  const of = (name: string, split: string): number => number(bag(report[name])[split]) ?? 0;
  const splits = byClass.map(({ split, counts }) => {
    const areas = bag(bag(report.areas)[split]);
    const sizes = ["small", "medium", "large"].map((name) => number(areas[name]) ?? 0);
    return { split, amounts: [total(counts), ...sizes, of("ignored", split), of("background", split), of("most", split)] };
  });
  const faults = Object.entries(bag(report.faults)).map(([kind, amount]) => ({
    what: FAULTS[kind] ?? kind,
    amount: Number(amount),
    examples: list(bag(report.fault_examples)[kind]).map(String),
  }));
  return { byClass, splits, faults: faults.filter(({ amount }) => amount > 0) };
}

const bySplit = (value: unknown): { split: string; counts: number[] }[] => Object.entries(bag(value)).map(([split, each]) => ({ split, counts: list(each).map(Number) }));

export const total = (counts: number[]): number => counts.reduce((a, b) => a + b, 0);

const FORMS: Record<string, string> = {
  texts: "labelled texts",
  pairs: "labelled pairs of texts",
  instructions: "instructions with answers",
  messages: "conversations, the last message by the assistant",
};

function textFindings(report: Bag): TextFindings | null {
  if (!Array.isArray(report.words)) return null;
  const plain = report.pairs ? "pairs" : list(report.classes).length > 0 ? "texts" : "instructions"; // an older report names no form
  return {
    form: FORMS[text(report.form) || plain] ?? text(report.form),
    words: list(report.words).map(Number),
    longer: Object.entries(bag(report.longer_than)).map(([words, share]): [number, number] => [Number(words), Number(share)]),
    examples: list(report.examples).map((each) => ({ label: text(bag(each).label), first: text(bag(each).first), second: text(bag(each).second) })),
  };
}

function sizes(heights: number[], widths: number[]): string {
  const [low, middle, high] = heights.map((height, at) => `${widths[at]} × ${height}`);
  if (!low) return "";
  return low === high ? `${low} pixels` : `${low} to ${high}, median ${middle} pixels`;
}

export interface TeacherFindings {
  classes: number | null;
  channels: number | null;
  parameters: number | null;
  tensors: number | null;
  dtypes: string;
  ignored: string[];
  /** What was done to fit the file to the architecture. */
  notes: string[];
  metadata: [string, string][];
  /** Operations of one image's forward pass, at `size`. */
  flops: number | null;
  size: string;
  layers: LayerFound[];
  note: string;
  /** Null for networks without a vocabulary. */
  language: LanguageFindings | null;
}

export interface LanguageFindings {
  family: string;
  generates: boolean;
  blocks: number | null;
  width: number | null;
  heads: number | null;
  vocabulary: number | null;
  maxLength: number | null;
  classNames: string[];
}

/** A generalised layer, as scoring will see it. */
export interface LayerFound {
  name: string;
  index: number;
  depth: number;
  kind: string;
  shape: string;
}

export function teacherFindings(report: Bag | null): TeacherFindings | null {
  if (!report) return null;
  return {
    classes: number(report.num_classes),
    channels: number(report.in_channels),
    parameters: number(report.parameters),
    tensors: number(report.tensors),
    dtypes: list(report.dtypes).join(", "),
    ignored: list(report.ignored).map(String),
    notes: list(report.notes).map(String),
    metadata: Object.entries((report.metadata ?? {}) as Record<string, string>),
    flops: number(report.flops),
    size: [...list(report.image_size)].reverse().join(" × "),
    layers: (list(report.layers) as Bag[]).map((each, at) => ({
      name: String(each.name),
      index: number(each.index) ?? at,
      depth: number(each.relative_depth) ?? 0,
      kind: String(each.kind),
      shape: list(each.shape).join(" × "),
    })),
    note: text(report.note),
    language: languageFindings(report),
  };
}

/** A language model's report has how many layers there are, not which. */
function languageFindings(report: Bag): LanguageFindings | null {
  if (typeof report.family !== "string" || number(report.vocabulary) === null) return null;
  return {
    family: report.family,
    generates: report.generates === true,
    blocks: number(report.layers),
    width: number(report.width),
    heads: number(report.heads),
    vocabulary: number(report.vocabulary),
    maxLength: number(report.max_length),
    classNames: list(report.classes).map(String),
  };
}

/** Its architecture's name, as its files say it where they do. */
export function architectureOf({ architecture, report }: { architecture: { name: string }; report: Bag | null }): string {
  const found = bag(report?.architecture).name;
  return typeof found === "string" ? found : architecture.name;
}

/** A teacher's classes in words: a base has none of its own yet. */
export function classWords(found: TeacherFindings | null): string {
  if (!found || found.classes === null) return "";
  if (found.classes === 0) return found.language?.generates ? "none: it answers" : found.language ? "none: a base to fine-tune" : "none: a backbone";
  return found.classes.toLocaleString("en-GB");
}
