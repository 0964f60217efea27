/** Texts or images: what a teacher, a dataset, a student and a setting are for. */
import type { Dataset, Teacher } from "../api/types";
import { type Draft, NAMED } from "./draft";
import { datasetFindings } from "./report";
import type { Schema } from "./schema";

export type Subject = "texts" | "images";

export const isLanguage = (architecture: string): boolean => architecture.startsWith("transformers:");
export const subjectOfArchitecture = (architecture: string): Subject => (isLanguage(architecture) ? "texts" : "images");

/** Null until an inspection has said so. */
export function subjectOfDataset(dataset: Pick<Dataset, "kind" | "report"> | undefined): Subject | null {
  if (dataset?.kind === "named") return "images";
  const found = datasetFindings(dataset?.report ?? null);
  return found ? (found.text ? "texts" : "images") : null;
}

export interface Subjects {
  dataset: Subject | null;
  teacher: Subject | null;
  student: Subject | null;
}

export function subjects(draft: Pick<Draft, "dataset" | "teacher" | "student">, datasets: Dataset[], teachers: Teacher[]): Subjects {
  const teacher = teachers.find((each) => each.id === draft.teacher);
  return {
    dataset: draft.dataset.startsWith(NAMED) ? "images" : subjectOfDataset(datasets.find((each) => each.id === draft.dataset)),
    teacher: teacher ? subjectOfArchitecture(teacher.architecture.name) : null,
    student: draft.student.includes(":") ? subjectOfArchitecture(draft.student) : null,
  };
}

/** What the job is about, by the first of them that says so. */
export const subjectOf = ({ dataset, teacher, student }: Subjects): Subject | null => dataset ?? teacher ?? student;

/** JSON pointer -> why what is chosen there does not fit the rest. `takesTeacher`: whether one is sent at all. */
export function misfits(found: Subjects, takesTeacher: boolean): Map<string, string> {
  const subject = subjectOf(found);
  const wrong = new Map<string, string>();
  const because = found.dataset ? `the dataset holds ${subject}` : `the teacher is for ${subject}`;
  if (takesTeacher && found.dataset && found.teacher && found.teacher !== subject) wrong.set("/teacher", `This teacher is for ${found.teacher}, but ${because}.`);
  if ((found.dataset ?? found.teacher) && found.student && found.student !== subject) {
    const name = subject === "texts" ? "a student of the library transformers, best transformers:auto" : "one of another library than transformers";
    wrong.set("/student", `This student is for ${found.student}, but ${because}: choose ${name}.`);
  }
  return wrong;
}

/** The settings that data of this kind has. */
export function settingsFor(config: Record<string, Schema>, subject: Subject | null): Record<string, Schema> {
  return Object.fromEntries(Object.entries(config).filter(([, schema]) => !subject || (schema["x-data"] ?? subject) === subject));
}
