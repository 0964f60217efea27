/** Inspection reports are open objects in OpenAPI; this reads out what the pages show. */
type Bag = Record<string, unknown>;

export interface DatasetFindings {
  classes: string[];
  counts: { split: string; counts: number[] }[];
  sizes: string;
  modes: string;
  corrupt: number;
  corruptExamples: [string, string][];
  duplicates: number | null;
  notes: string[];
}

const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const number = (value: unknown): number | null => (typeof value === "number" ? value : null);

export function datasetFindings(report: Bag | null): DatasetFindings | null {
  if (!report) return null;
  const counts = Object.entries((report.counts ?? {}) as Record<string, number[]>).map(([split, each]) => ({ split, counts: list(each).map(Number) }));
  return {
    classes: list(report.classes).map(String),
    counts,
    sizes: sizes(list(report.heights).map(Number), list(report.widths).map(Number)),
    modes: Object.entries((report.modes ?? {}) as Record<string, number>).filter(([, n]) => n > 0).map(([mode, n]) => `${n.toLocaleString("en-GB")} ${mode}`).join(", "),
    corrupt: number(report.corrupt) ?? 0,
    corruptExamples: Object.entries((report.corrupt_examples ?? {}) as Record<string, string>),
    duplicates: number(report.duplicates_between_splits),
    notes: list(report.notes).map(String),
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
  metadata: [string, string][];
  /** Operations of one image's forward pass, at `size`. */
  flops: number | null;
  size: string;
  layers: LayerFound[];
  note: string;
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
    note: typeof report.note === "string" ? report.note : "",
  };
}
