/** Which recipes can learn from a teacher, as far as the numbers of classes tell. The service compares their names too. */
import type { Dataset, Recipe, Task, Teacher } from "../api/types";
import type { Draft } from "./draft";
import { words } from "./format";
import { datasetFindings, teacherFindings } from "./report";

/** Why the chosen teachers' logits do not answer the chosen dataset; empty where they may, or where nobody can tell yet. */
export function stranger(draft: Pick<Draft, "teacher" | "dataset" | "config"> & Partial<Pick<Draft, "further">>, teachers: Teacher[], datasets: Dataset[]): string {
  const ids = [draft.teacher, ...(draft.further ?? [])];
  const reasons = ids.map((id) => [id, strange(id, draft, teachers, datasets)] as const).filter(([, why]) => why !== "");
  const [id, why] = reasons[0] ?? ["", ""];
  return ids.length > 1 && why ? `of ${teachers.find((each) => each.id === id)?.name || id}, ${why}` : why;
}

function strange(of: string, draft: Pick<Draft, "dataset" | "config">, teachers: Teacher[], datasets: Dataset[]): string {
  const teacher = teachers.find(({ id }) => id === of);
  const found = teacherFindings(teacher?.report ?? null);
  const ours = datasets.find(({ id }) => id === draft.dataset)?.report?.classes;
  const count = Array.isArray(ours) ? ours.length : ours;
  if (withoutLabels(draft, datasets)) return "the dataset has no labels, and so no classes";
  if (!found || found.classes === null || typeof count !== "number" || count === 0) return "";
  if (found.classes === 0) return found.language?.generates ? "" : "it has no classifier";
  if (found.classes !== count) return `it tells ${found.classes} classes apart, the dataset has ${count}`;
  return draft.config.teacher_classes === "other" ? "its classes are said to be others" : "";
}

/** Whether no sample of the chosen dataset has a label: then a recipe that needs labels cannot learn, and a probe may judge. */
export function withoutLabels(draft: Pick<Draft, "dataset">, datasets: Dataset[]): boolean {
  const report = datasets.find(({ id }) => id === draft.dataset)?.report ?? null;
  const found = datasetFindings(report);
  return found !== null && found.classes.length === 0 && found.without.length > 0;
}

/** What keeps the chosen teachers from teaching together; empty where nothing does. */
export function apart(recipe: Recipe | undefined, tasks: Task[] | null, further: string[]): string {
  if (further.length === 0 || !recipe) return "";
  if (!recipe.several_teachers) return `${words(recipe.name)} learns from one teacher: take the others away, or choose another recipe.`;
  return tasks?.length && !tasks.some((task) => task.several_teachers) ? "Students of this dataset learn from one teacher: take the others away." : "";
}

/** Whether the recipe has a way to learn from such a teacher. */
export const learns = (recipe: Recipe, why: string): boolean => why === "" || !recipe.reads_logits || Object.keys(recipe.features_alone ?? {}).length > 0;

/** Whether the form offers the recipe: for what the teachers' logits are worth (`why`), how many teachers there are, and `bare` data. */
export const fits = (recipe: Recipe, why: string, further: string[], bare: boolean): boolean =>
  learns(recipe, why) && (further.length === 0 || recipe.several_teachers || !recipe.needs_teacher) && unlearnable(recipe, bare) === "";

/** Which recipes the form leaves out, and why, one sentence a reason; empty where it offers all. */
export function withheld(recipes: Recipe[], why: string, further: string[], bare: boolean): string[] {
  const reasons: [(recipe: Recipe) => boolean, string][] = [
    [(recipe) => !learns(recipe, why), `read the teacher’s logits, and the teacher does not know the dataset’s classes (${why})`],
    [(recipe) => unlearnable(recipe, bare) !== "", "want labels, and no sample of the dataset has one"],
    [(recipe) => !fits(recipe, why, further, bare), "learn from one teacher"],
  ];
  const first = (recipe: Recipe) => reasons.findIndex(([holds]) => holds(recipe));
  return reasons.flatMap(([, reason], at) => {
    const names = recipes.filter((recipe) => first(recipe) === at).map(({ name }) => words(name));
    return names.length ? [`Not offered, since they ${reason}: ${names.join(", ")}.`] : [];
  });
}

/** What keeps the recipe from learning where no sample has a label (`bare`); empty where nothing does. */
export const unlearnable = (recipe: Recipe | undefined, bare: boolean): string =>
  bare && recipe?.wants_some_labels ? `${words(recipe.name)} wants labels, and no sample of the dataset has one: choose another recipe.` : "";

/** What is wrong with the recipe and its parameters as typed; empty where nothing is. */
export function unfit(recipe: Recipe | undefined, typed: Record<string, string>, why: string): string {
  const ways = Object.entries(recipe?.features_alone ?? {});
  if (!recipe?.reads_logits || why === "" || ways.some(([name, value]) => typed[name]?.trim() === String(value))) return "";
  const way = ways.map(([name, value]) => `set ${name} to ${String(value)}`).join(", or ");
  return `${words(recipe.name)} reads the teacher’s logits, and this teacher does not know the dataset’s classes: ${why}. ${way ? `Either ${way}, or choose` : "Choose"} a recipe that reads features alone.`;
}
