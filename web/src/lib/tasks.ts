/** What the service says of its tasks, and what follows from it. Nothing else in the dashboard tells one task from another. */
import type { Dataset, Job, Metric, NamedSet, Task, Teacher } from "../api/types";
import { AUTO, type Draft, NAMED } from "./draft";
import { count, figure, MISSING, percent } from "./format";
import type { Schema } from "./schema";

export const named = (tasks: Task[], name: string | null | undefined): Task | undefined => tasks.find((each) => each.name === name);

/** The tasks whose networks have such names: those with the longest prefix, as the service decides. */
export function accepting(tasks: Task[], architecture: string): Task[] {
  const fits = tasks.map((task) => Math.max(0, ...task.architectures.filter((prefix) => architecture.startsWith(prefix)).map((prefix) => prefix.length)));
  const best = Math.max(0, ...fits);
  return best === 0 ? [] : tasks.filter((_, at) => fits[at] === best);
}

/** The tasks that a teacher answers: what its inspection found, of an older one what its architecture is for. */
export function ofTeacher(tasks: Task[], { architecture, report }: Pick<Teacher, "architecture" | "report">): Task[] {
  const told = report?.tasks;
  return Array.isArray(told) ? tasks.filter(({ name }) => told.includes(name)) : accepting(tasks, architecture.name);
}

/** Whether networks of this name are model folders, whose options the catalogue lists, and not one file of weights. */
export const isFolder = (tasks: Task[], architecture: string): boolean => accepting(tasks, architecture).some(({ container }) => container === "folder");

/** What the student's file is called. */
export const studentFile = (tasks: Task[], job: Pick<Job, "student">): string => (isFolder(tasks, job.student.name) ? "student.zip" : "student.safetensors");

export const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
export const sampleOf = (task: Task | undefined): string => task?.sample ?? "sample";
export const samplesOf = (task: Task | undefined): string => task?.samples ?? "samples";

/** The names of several tasks in a sentence. */
export const titles = (tasks: Task[]): string => tasks.map(({ title }) => title).join(" or ") || "no task of this service";

/** What each choice of a job is for; null where nothing is chosen, or nobody knows yet. */
export interface Chosen {
  dataset: Task[] | null;
  teacher: Task[] | null;
  student: Task[] | null;
}

export function chosenTasks(draft: Pick<Draft, "dataset" | "teacher" | "student"> & Partial<Pick<Draft, "kind">>, tasks: Task[], datasets: Dataset[], teachers: Teacher[], sets: NamedSet[]): Chosen {
  const teacher = teachers.find((each) => each.id === draft.teacher);
  const set = sets.find((each) => NAMED + each.name === draft.dataset);
  const task = named(tasks, set?.task ?? datasets.find((each) => each.id === draft.dataset)?.task);
  const students = (draft.kind ?? "named") === "named" && draft.student.includes(":") ? accepting(tasks, draft.student) : [];
  return { dataset: task ? [task] : null, teacher: teacher ? ofTeacher(tasks, teacher) : null, student: students.length > 0 ? students : null };
}

/** What the job may be for, by the first of them that says so. */
export const tasksOf = ({ dataset, teacher, student }: Chosen): Task[] | null => dataset ?? teacher ?? student;

const share = (one: Task[], other: Task[]): boolean => one.some((task) => other.includes(task));

/** JSON pointer -> why what is chosen there does not fit the rest. `takesTeacher`: whether one is sent at all. */
export function misfits(found: Chosen, recipe: string, takesTeacher: boolean): Map<string, string> {
  const wrong = new Map<string, string>();
  const subject = tasksOf(found);
  const wanted = found.dataset ?? found.teacher;
  const because = found.dataset ? `the dataset is for ${titles(found.dataset)}` : `the teacher is for ${titles(found.teacher ?? [])}`;
  if (takesTeacher && found.dataset && found.teacher && !share(found.dataset, found.teacher)) wrong.set("/teacher", `This teacher is for ${titles(found.teacher)}, but ${because}.`);
  if (wanted && found.student && !share(wanted, found.student)) {
    const names = [...new Set(wanted.map(({ student, architectures }) => student || architectures.map((prefix) => `${prefix}…`).join(", ")))].join(" or ");
    wrong.set("/student", `This student is for ${titles(found.student)}, but ${because}: choose ${names}.`);
  }
  if (subject && !subject.some((task) => offers(task, recipe))) wrong.set("/config/recipe", `${titles(subject)} does not offer this recipe.`);
  return wrong;
}

/** Whether a job of these tasks may name the weights that its student starts from. */
export const takesWeights = (tasks: Task[] | null): boolean => tasks === null || tasks.some(({ student_weights }) => student_weights);

export const offers = (task: Task, recipe: string): boolean => recipe === AUTO || task.recipes.length === 0 || task.recipes.includes(recipe);

/** The settings that a job of these tasks has: those that every task has, and theirs. Null: all. */
export function settingsFor(config: Record<string, Schema>, all: Task[], tasks: Task[] | null): Record<string, Schema> {
  const own = (name: string): boolean => !all.some(({ settings }) => settings.includes(name)) || (tasks ?? all).some(({ settings }) => settings.includes(name));
  return Object.fromEntries(Object.entries(config).filter(([name]) => own(name)).map(([name, schema]) => [name, byTask(name, name === "augmentation" && tasks ? offered(schema, tasks) : schema, tasks)]));
}

/** A field's schema with the default of the task, where there is one task and it has its own. */
function byTask(name: string, schema: Schema, tasks: Task[] | null): Schema {
  const found = tasks?.length === 1 ? tasks[0]!.defaults?.[name] : undefined;
  return found === undefined ? schema : { ...schema, default: found };
}

/** The schema of `augmentation` with the values that one of the tasks offers. */
function offered(schema: Schema, tasks: Task[]): Schema {
  const names = new Set(tasks.flatMap(({ augmentations }) => augmentations ?? []));
  return schema.enum && names.size > 0 ? { ...schema, enum: schema.enum.filter((value) => names.has(String(value))) } : schema;
}

/** A figure in its metric's unit. */
export function shown(metric: Metric, value: number | null | undefined): string {
  if (value === null || value === undefined) return MISSING;
  if (metric.unit === "share") return percent(value);
  return metric.unit === "per_second" ? `${value < 100 ? figure(value, 3) : count(value)} /s` : figure(value);
}

const alike = (one: Metric, other: Metric): boolean => one.name === other.name && one.label === other.label;

/** Of all tasks of these jobs, each metric once. */
export function metricsOf(tasks: Task[], jobs: Pick<Job, "task">[]): Metric[] {
  const wanted = jobs.flatMap(({ task }) => named(tasks, task)?.metrics ?? []);
  return wanted.filter((metric, at) => wanted.findIndex((each) => alike(each, metric)) === at);
}

/** Whether the job's task has the metric: another's may have the same key and mean something else. */
export const has = (tasks: Task[], { task }: Pick<Job, "task">, metric: Metric): boolean => named(tasks, task)?.metrics.some((each) => alike(each, metric)) ?? false;
