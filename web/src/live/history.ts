/** What a job's events add up to. Mutable on purpose: a hundred thousand metrics are appended, never copied. */
import type { Curve, CurvePoint, Job, JobEvent } from "../api/types";

export interface PhaseSpan {
  phase: string;
  attempt: number;
  startedAt: string;
  endedAt: string | null;
}

export interface Frame {
  total_layers: number;
  grouping?: string;
  samples?: number;
  classes?: number;
  reused?: boolean;
}

export interface Selection {
  rule: string;
  chosen: number[];
  teacher_layers: string[];
  student_layers: string[];
  reason: string;
}

/** What is told of one teacher. */
export interface Taught {
  frame: Frame | null;
  layers: CurvePoint[];
  selection: Selection | null;
}

/** One split's metrics as columns, in step order. */
export interface Columns {
  step: number[];
  values: Map<string, (number | null)[]>;
}

export interface History extends Taught {
  lastSeq: number;
  /** Its beginning is no longer kept (RETORT_KEEP_HISTORY_DAYS): of an ended job then only the last event is there. */
  trimmed: boolean;
  lastEventAt: string | null;
  status: string | null;
  phases: PhaseSpan[];
  /** Of several teachers those beside the first, by their place; the first's is the history's own. */
  further: Map<number, Taught>;
  metrics: Map<string, Columns>;
  /** Step at which an attempt after the first went on: the first metrics it wrote. */
  attemptStarts: { attempt: number; step: number; split: string }[];
  checkpoints: number;
  artifacts: number;
  version: number;
}

export function emptyHistory(): History {
  return {
    lastSeq: 0,
    trimmed: false,
    lastEventAt: null,
    status: null,
    phases: [],
    frame: null,
    layers: [],
    selection: null,
    further: new Map(),
    metrics: new Map(),
    attemptStarts: [],
    checkpoints: 0,
    artifacts: 0,
    version: 0,
  };
}

/** Add one event. Events that were seen before change nothing, so a reconnect may repeat them. */
export function add(history: History, event: JobEvent): boolean {
  if (event.seq <= history.lastSeq) return false;
  if (history.lastSeq === 0) history.trimmed = event.seq > 1;
  history.lastSeq = event.seq;
  history.lastEventAt = event.created_at;
  history.version += 1;
  RULES[event.kind]?.(history, event);
  return true;
}

/** With what the service knows of the curve without its events. What events have told stays as it is. */
export function restored(history: History, job: Pick<Job, "selection">, curve: Curve | null): History {
  const told = history.layers.length > 0;
  const layers = told ? history.layers : (curve?.layers ?? []);
  return { ...history, layers, frame: history.frame ?? frameOf(curve), selection: history.selection ?? (job.selection as Selection | null) };
}

function frameOf(curve: Curve | null): Frame | null {
  if (!curve?.total_layers) return null;
  return { total_layers: curve.total_layers, samples: curve.samples ?? undefined, classes: curve.classes ?? undefined, reused: curve.reused };
}

/** The history with the curve and the layers of one of several teachers in the place of the first's. */
export function ofTeacher(history: History, place: number): History {
  return place === 0 ? history : { ...history, ...(history.further.get(place) ?? { frame: null, layers: [], selection: null }) };
}

/** Where what an event says of a teacher belongs; each event of it makes a new object, so that what shows it is drawn again. */
function taught(history: History, event: JobEvent): Taught {
  const place = Number(event.data.teacher ?? 0);
  if (place === 0) return history;
  const found = { ...(history.further.get(place) ?? { frame: null, layers: [], selection: null }) };
  history.further.set(place, found);
  return found;
}

type Rule = (history: History, event: JobEvent) => void;

const RULES: Record<string, Rule> = {
  status: onStatus,
  phase: onPhase,
  layers: (history, event) => {
    taught(history, event).frame = event.data as unknown as Frame;
  },
  layer_quality: onLayer,
  selection: (history, event) => {
    taught(history, event).selection = event.data as unknown as Selection;
  },
  metrics: onMetrics,
  checkpoint: (history) => {
    history.checkpoints += 1;
  },
  artifact: (history) => {
    history.artifacts += 1;
  },
};

function endPhase(history: History, at: string): void {
  const open = history.phases.at(-1);
  if (open && open.endedAt === null) open.endedAt = at;
}

function onStatus(history: History, event: JobEvent): void {
  const status = String(event.data.status);
  history.status = status;
  if (status === "running") {
    endPhase(history, event.created_at);
    history.phases.push({ phase: "fetching", attempt: event.attempt, startedAt: event.created_at, endedAt: null });
  } else if (["succeeded", "failed", "cancelled", "queued", "paused"].includes(status)) {
    endPhase(history, event.created_at);
  }
}

function onPhase(history: History, event: JobEvent): void {
  const phase = String(event.data.phase);
  const open = history.phases.at(-1);
  if (open && open.endedAt === null && open.phase === phase && open.attempt === event.attempt) return;
  endPhase(history, event.created_at);
  history.phases.push({ phase, attempt: event.attempt, startedAt: event.created_at, endedAt: null });
}

function onLayer(history: History, event: JobEvent): void {
  const point = event.data as unknown as CurvePoint;
  const whose = taught(history, event);
  const others = whose.layers.filter((layer) => layer.index !== point.index);
  whose.layers = [...others, point].sort((a, b) => a.index - b.index);
}

function onMetrics(history: History, event: JobEvent): void {
  const { step, split, values } = event.data as { step: number; split: string; values: Record<string, unknown> };
  const columns = history.metrics.get(split) ?? { step: [], values: new Map<string, (number | null)[]>() };
  history.metrics.set(split, columns);
  noteAttempt(history, event.attempt, step, split);
  const at = place(columns.step, step);
  columns.step.splice(at, 0, step);
  for (const name of Object.keys(values)) if (!columns.values.has(name)) columns.values.set(name, new Array<null>(columns.step.length - 1).fill(null));
  for (const [name, column] of columns.values) {
    const value = values[name];
    column.splice(at, 0, typeof value === "number" && Number.isFinite(value) ? value : null);
  }
}

/** Where `step` belongs; nearly always the end. */
function place(steps: number[], step: number): number {
  let at = steps.length;
  while (at > 0 && (steps[at - 1] ?? 0) > step) at -= 1;
  return at;
}

function noteAttempt(history: History, attempt: number, step: number, split: string): void {
  if (attempt > 1 && !history.attemptStarts.some((start) => start.attempt === attempt)) {
    history.attemptStarts.push({ attempt, step, split });
  }
}
