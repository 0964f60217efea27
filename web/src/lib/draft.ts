/** The new-job form as typed, and the request it stands for. */
import type { Job, JobCreate, Preset } from "../api/types";
import { formatLabels, parseLabels } from "./labels";
import { type Schema, typed } from "./schema";
import { askedOf, NAMED_STUDENT, NO_SCHEMAS, type StudentDraft, type StudentSchemas, unnamed } from "./student";

export interface Draft extends StudentDraft {
  name: string;
  labels: string;
  teacher: string;
  /** Ids of teachers that teach together with that one. */
  further: string[];
  /** A dataset's id, or `named:` and a catalogue name. */
  dataset: string;
  /** The architecture, of a student that is named. */
  student: string;
  options: string;
  /** What the student starts from: `teacher:` or `job:` and an id; empty: random weights, or what its options say. */
  start: string;
  /** What of the weights goes where, `student.prefix=weights.prefix` each; empty: as the family tells. */
  map: string;
  compareWith: string;
  /** A labelled dataset that judges features, for one without labels; empty: none. */
  probe: string;
  priority: string;
  /** Processes that train together, or `auto`; empty: one. */
  processes: string;
  /** Hosts of a cluster that share them; empty: the worker's own machine. */
  hosts: string;
  /** `full`: each process holds a share of the networks; empty: all of them. */
  sharding: string;
  recipe: string;
  recipeParameters: Record<string, string>;
  selection: string;
  selectionParameters: Record<string, string>;
  config: Record<string, string>;
}

export const EMPTY: Draft = {
  ...NAMED_STUDENT,
  name: "",
  labels: "",
  teacher: "",
  further: [],
  dataset: "",
  student: "",
  options: "",
  start: "",
  map: "",
  compareWith: "",
  probe: "",
  priority: "",
  processes: "",
  hosts: "",
  sharding: "",
  recipe: "feature_only",
  recipeParameters: {},
  selection: "",
  selectionParameters: {},
  config: {},
};

export interface Schemas {
  config: Record<string, Schema>;
  recipe: Record<string, Schema>;
  selection: Record<string, Schema>;
  student?: StudentSchemas;
}

export interface Built {
  body: JobCreate;
  /** JSON pointer -> what is wrong with what was typed. */
  errors: Map<string, string>;
}

export const NAMED = "named:";
export const REGISTERED = "teacher:";
export const FINISHED = "job:";
/** The recipe that is chosen by the run, among those that fit. */
export const AUTO = "auto";
/** Asked for by the form itself, or given by one that it has. */
export const OWN_FIELDS = ["recipe", "recipe_parameters", "selection", "selection_parameters"];

export function build(draft: Draft, schemas: Schemas, takesTeacher: boolean): Built {
  const errors = new Map<string, string>();
  const config: Record<string, unknown> = { recipe: draft.recipe, ...typed(draft.config, schemas.config, "/config", errors) };
  const recipe = typed(draft.recipeParameters, schemas.recipe, "/config/recipe_parameters", errors);
  if (Object.keys(recipe).length > 0) config.recipe_parameters = recipe;
  if (draft.selection) config.selection = draft.selection;
  const selection = typed(draft.selectionParameters, schemas.selection, "/config/selection_parameters", errors);
  if (Object.keys(selection).length > 0) config.selection_parameters = selection;
  const body: Record<string, unknown> = {
    ...(takesTeacher && draft.teacher ? { teacher: draft.further.length > 0 ? [draft.teacher, ...draft.further] : draft.teacher } : {}),
    dataset: draft.dataset.startsWith(NAMED) ? { named: draft.dataset.slice(NAMED.length) } : draft.dataset,
    student: draft.kind === "named" ? studentOf(draft, pairs(draft.options)) : unnamed(draft, schemas.student ?? NO_SCHEMAS, errors),
    config,
  };
  if (draft.name) body.name = draft.name;
  const labels = labelled(draft.labels, errors);
  if (Object.keys(labels).length > 0) body.labels = labels;
  if (draft.compareWith) body.compare_with = draft.compareWith;
  if (draft.probe) body.probe = draft.probe;
  if (draft.priority) body.priority = Number(draft.priority);
  const resources = {
    ...(draft.processes ? { processes: counted(draft.processes) } : {}),
    ...(draft.hosts ? { hosts: Number(draft.hosts) } : {}),
    ...(draft.sharding ? { sharding: draft.sharding } : {}),
  };
  if (Object.keys(resources).length > 0) body.resources = resources;
  return { body: body as unknown as JobCreate, errors };
}

const counted = (processes: string): number | "auto" => (processes.trim() === "auto" ? "auto" : Number(processes));

function studentOf({ student, start, map }: Draft, options: object): unknown {
  if (Object.keys(options).length === 0 && start === "") return student;
  const named = prefixes(map);
  const weights = start ? { ...weightsOf(start), ...(Object.keys(named).length > 0 ? { map: named } : {}) } : undefined;
  return { name: student, ...(Object.keys(options).length > 0 ? { options } : {}), ...(weights ? { weights } : {}) };
}

/** "stem=conv1, stages.0=layer1", or one a line -> { stem: "conv1", "stages.0": "layer1" }. */
export function prefixes(text: string): Record<string, string> {
  const typed = text.split(/[,\n]/).map((pair) => pair.split("=").map((side) => side.trim()));
  return Object.fromEntries(typed.filter((sides) => sides.length === 2) as [string, string][]);
}

const prefixesText = (map: unknown): string => Object.entries((map ?? {}) as Record<string, string>).map((pair) => pair.join("=")).join("\n");

const weightsOf = (start: string): object => (start.startsWith(FINISHED) ? { artifact: { job_id: start.slice(FINISHED.length) } } : { teacher: start.slice(REGISTERED.length) });

/** The draft's word for what a job's student started from. */
function startOf(weights: unknown): string {
  const { teacher, artifact } = (weights ?? {}) as { teacher?: string; artifact?: { job_id: string } };
  return artifact ? FINISHED + artifact.job_id : teacher ? REGISTERED + teacher : "";
}

function labelled(text: string, errors: Map<string, string>): Record<string, string> {
  try {
    return parseLabels(text);
  } catch (error) {
    errors.set("/labels", (error as Error).message);
    return {};
  }
}

/** An architecture's options: "width=8, blocks=1 2 3" -> { width: 8, blocks: [1, 2, 3] }. Labels are text: `parseLabels`. */
export function pairs(text: string): Record<string, string | number | boolean | number[]> {
  const found: Record<string, string | number | boolean | number[]> = {};
  for (const pair of text.split(/[,\n]/)) {
    const [name = "", ...rest] = pair.split(/[=:]/);
    const value = rest.join("=").trim();
    if (!name.trim()) continue;
    const numbers = value.split(/\s+/).map(Number);
    if (numbers.length > 1 && numbers.every(Number.isFinite)) found[name.trim()] = numbers;
    else found[name.trim()] = plain(value);
  }
  return found;
}

/** The options as text, with one of them changed; "" takes it out. */
export function withOption(text: string, name: string, value: string): string {
  const { [name]: _, ...others } = pairs(text);
  return pairsText(value.trim() ? { ...others, [name]: value.trim() } : others);
}

const pairsText = (given: Record<string, unknown>): string =>
  Object.entries(given).map(([name, value]) => `${name}=${Array.isArray(value) ? value.join(" ") : String(value)}`).join(", ");

function plain(value: string): string | number | boolean {
  if (value === "true" || value === "false") return value === "true";
  return value !== "" && Number.isFinite(Number(value)) ? Number(value) : value;
}

const asText = (value: unknown): string => (value === null ? "none" : Array.isArray(value) ? value.join(", ") : typeof value === "object" ? JSON.stringify(value) : String(value));

/** The settings with what the preset gives those that are left out. */
export function withPreset(schemas: Record<string, Schema>, preset: Preset | undefined): Record<string, Schema> {
  const given = Object.entries(preset?.settings ?? {}).filter(([name]) => schemas[name]);
  return { ...schemas, ...Object.fromEntries(given.map(([name, value]) => [name, { ...schemas[name]!, default: value }])) };
}

/** What a preset chooses of that which the form always sends. */
export function byPreset(preset: Preset | undefined): Partial<Draft> {
  const { recipe, selection } = (preset?.settings ?? {}) as { recipe?: string; selection?: string };
  return { ...(recipe ? { recipe, recipeParameters: {} } : {}), ...(selection ? { selection, selectionParameters: {} } : {}) };
}

/** Of what is 1 unless it is said. */
const beyondOne = (value: number | "auto" | undefined): string => (value === undefined || value === 1 ? "" : String(value));

/** A draft that asks for what `job` was asked for. Settings at their default stay at their default. */
export function fromJob(job: Job, schema: Record<string, Schema>): Draft {
  const config = job.config as unknown as Record<string, unknown>;
  const changed = Object.entries(config).filter(([name, value]) => !OWN_FIELDS.includes(name) && JSON.stringify(value) !== JSON.stringify(schema[name]?.default ?? null));
  const texts = (values: unknown): Record<string, string> => Object.fromEntries(Object.entries((values ?? {}) as object).map(([name, value]) => [name, asText(value)]));
  const asked = askedOf(job);
  const named = asked.kind === "named";
  return {
    ...EMPTY,
    ...asked,
    name: job.name ? `${job.name} (copy)` : "",
    labels: formatLabels(job.labels),
    teacher: job.teacher ?? "",
    further: (job.teachers ?? []).slice(1),
    dataset: job.dataset,
    student: named ? job.student.name : "",
    options: named ? pairsText(job.student.options ?? {}) : "",
    start: named ? startOf(job.student_weights) : "",
    map: prefixesText((job.student_weights as { map?: unknown } | null)?.map),
    compareWith: job.compare_with ?? "",
    probe: job.probe ?? "",
    priority: job.priority ? String(job.priority) : "",
    processes: beyondOne(job.resources?.processes),
    hosts: beyondOne(job.resources?.hosts),
    sharding: job.resources?.sharding === "full" ? "full" : "",
    recipe: job.recipe,
    recipeParameters: texts(config.recipe_parameters),
    selection: config.selection === "auto" ? "" : String(config.selection ?? ""),
    selectionParameters: texts(config.selection_parameters),
    config: Object.fromEntries(changed.map(([name, value]) => [name, asText(value)])),
  };
}
