/** A study of a job, as a form holds it and as the service takes it. */
import type { Job, StudyCreate } from "../api/types";
import { NAMED_STUDENT, NO_SCHEMAS, type StudentDraft, type StudentSchemas, unnamed } from "./student";

export interface Place {
  pointer: string;
  kind: "choices" | "range";
  /** Choices: comma between; each JSON, else text. */
  choices: string;
  low: string;
  high: string;
  log: boolean;
  integer: boolean;
}

export interface StudyDraft {
  name: string;
  places: Place[];
  strategy: string;
  seeds: string;
  trials: string;
  minutes: string;
  parallel: string;
  confirm: string;
  /** `named`: the job's student; `budget`: those that a budget allows, which are then varied too. */
  student: StudentDraft;
}

export const NO_PLACE: Place = { pointer: "", kind: "choices", choices: "", low: "", high: "", log: false, integer: false };
export const EMPTY_STUDY: StudyDraft = {
  name: "",
  places: [{ ...NO_PLACE, pointer: "/config/learning_rate", kind: "range", low: "0.0001", high: "0.01", log: true }],
  strategy: "random",
  seeds: "3",
  trials: "30",
  minutes: "",
  parallel: "2",
  confirm: "3",
  student: NAMED_STUDENT,
};

/** Commas within brackets, braces and quotes do not part. */
export function parted(text: string): string[] {
  const found: string[] = [];
  let depth = 0;
  let quoted = false;
  let part = "";
  for (const letter of text) {
    if (letter === '"') quoted = !quoted;
    if (!quoted && "[{".includes(letter)) depth += 1;
    if (!quoted && "]}".includes(letter)) depth -= 1;
    if (letter === "," && depth === 0 && !quoted) {
      found.push(part);
      part = "";
    } else part += letter;
  }
  return [...found, part].map((each) => each.trim()).filter(Boolean);
}

function value(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

const number = (text: string): number | undefined => (text.trim() === "" ? undefined : Number(text));

function domain(place: Place): Record<string, unknown> {
  if (place.kind === "choices") return { choices: parted(place.choices).map(value) };
  const flags = { ...(place.log && { log: true }), ...(place.integer && { integer: true }) };
  return { low: number(place.low), high: number(place.high), ...flags };
}

/** The request that would make the job again, without its seed, and with the recipe that was chosen where it left that open. */
export function baseOf(job: Job): Record<string, unknown> {
  const { seed: _seed, ...config } = { ...(job.config as Record<string, unknown>), ...chosen(job) };
  const teachers = job.teachers ?? (job.teacher ? [job.teacher] : []);
  const student = { ...job.student, ...(job.student_weights && { weights: job.student_weights }) };
  return {
    ...(teachers.length > 0 && { teacher: teachers.length > 1 ? teachers : teachers[0] }),
    dataset: job.dataset,
    student,
    config,
    ...(job.probe && { probe: job.probe }),
    ...(job.resources && { resources: job.resources }),
  };
}

function chosen({ choice }: Job): object {
  const recipe = (choice as { recipe?: string | null } | null | undefined)?.recipe;
  return recipe ? { recipe, auto_minutes: undefined, auto_steps: undefined, auto_recipes: undefined } : {};
}

/** `errors`: by JSON pointer into the base job, what is wrong with the budget as typed. */
export function study(job: Job, draft: StudyDraft, schemas: StudentSchemas = NO_SCHEMAS, errors = new Map<string, string>()): StudyCreate {
  const budget = { trials: number(draft.trials), minutes: number(draft.minutes), parallel: number(draft.parallel) };
  const body = {
    base: draft.student.kind === "named" ? baseOf(job) : { ...baseOf(job), student: unnamed(draft.student, schemas, errors) },
    space: Object.fromEntries(draft.places.filter(({ pointer }) => pointer).map((place) => [place.pointer, domain(place)])),
    strategy: draft.strategy,
    seeds: number(draft.seeds),
    confirm: number(draft.confirm),
    budget,
    ...(draft.name && { name: draft.name }),
  };
  return body as unknown as StudyCreate;
}
