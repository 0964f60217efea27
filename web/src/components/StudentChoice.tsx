import type { ReactNode } from "react";

import type { ProblemError } from "../api/problem";
import type { Task, Teacher } from "../api/types";
import { bytes, options, short } from "../lib/format";
import { type Candidate, raised, smallestOf, type StudentDraft, type StudentKind, type StudentSchemas } from "../lib/student";
import { SchemaField } from "./SchemaField";

const KINDS: Record<StudentKind, [string, string]> = {
  named: ["By name", "An architecture and its options."],
  budget: ["By budget", "What it may cost. Check only lists the candidates, or the smallest that can be reached."],
  pruned: ["The teacher, pruned", "The teacher’s own network with a part of its channels or blocks, from its weights."],
};

/** How the student is said: one of the kinds that the service has for these tasks. */
export function StudentKinds({ kinds, chosen, texts = {}, onChoose }: { kinds: StudentKind[]; chosen: StudentKind; texts?: Partial<Record<StudentKind, [string, string]>>; onChoose: (kind: StudentKind) => void }) {
  if (kinds.length < 2) return null;
  return (
    <div className="choices kinds" role="radiogroup" aria-label="How the student is chosen">
      {kinds.map((kind) => {
        const [title, text] = texts[kind] ?? KINDS[kind];
        return (
          <label key={kind} className={kind === chosen ? "choice chosen" : "choice"}>
            <input type="radio" name="student-kind" value={kind} checked={kind === chosen} onChange={() => onChoose(kind)} />
            <span>
              <b>{title}</b>
              <span className="muted small">{text}</span>
            </span>
          </label>
        );
      })}
    </div>
  );
}

interface FieldsProps {
  draft: StudentDraft;
  schemas: StudentSchemas;
  at: (pointer: string) => string | undefined;
  set: (change: Partial<StudentDraft>) => void;
}

/** The limits of a budget, and the families to choose among. `problem`: the service's refusal, which may name the smallest student. */
export function BudgetFields({ draft, schemas, at, set, problem }: FieldsProps & { problem: ProblemError | null }) {
  const smallest = smallestOf(problem?.problem.details);
  return (
    <>
      <div className="fields">
        {Object.entries(schemas.budget).map(([name, schema]) => (
          <SchemaField key={name} name={name} schema={schema} value={draft.budget[name] ?? ""} error={at(`/student/budget/${name}`)} onChange={(text) => set({ budget: { ...draft.budget, [name]: text } })} />
        ))}
        {Object.entries(schemas.families).map(([name, schema]) => (
          <SchemaField key={name} name={name} schema={schema} unset="Retort’s own" value={draft.families} error={at(`/student/${name}`)} onChange={(families) => set({ families })} />
        ))}
      </div>
      {smallest && (
        <div className="checked spaced" role="status">
          <p>
            The smallest that can be reached is <Network of={smallest} />: {costs(smallest)}.
          </p>
          <button type="button" className="button small" onClick={() => set({ budget: raised(draft.budget, smallest) })}>
            Raise the budget to it
          </button>
        </div>
      )}
    </>
  );
}

/** How the teacher is pruned. `teachers`: which to choose the pruned one among, where the job has none or several. */
export function PruningFields({ draft, schemas, at, set, teachers }: FieldsProps & { teachers: Teacher[] | null }) {
  const change = (name: string, text: string): void => set({ prune: { ...draft.prune, [name]: text } });
  return (
    <div className="fields">
      {Object.entries(schemas.prune)
        .filter(([name]) => name !== "teacher")
        .map(([name, schema]) => (
          <SchemaField key={name} name={name} schema={schema} value={draft.prune[name] ?? ""} error={at(`/student/prune/${name}`)} onChange={(text) => change(name, text)} />
        ))}
      {teachers && (
        <label className="field">
          <span>Pruned teacher</span>
          <select value={draft.prune.teacher ?? ""} onChange={(event) => change("teacher", event.target.value)}>
            <option value="">Choose a teacher</option>
            {teachers.map((teacher) => (
              <option key={teacher.id} value={teacher.id} disabled={teacher.status !== "ready"}>
                {teacher.name || teacher.id} ({teacher.architecture.name})
              </option>
            ))}
          </select>
          <span className="help">{at("/student/prune/teacher") ? <span className="error">{at("/student/prune/teacher")}</span> : "The recipe trains without a teacher, or with several: this one is cut."}</span>
        </label>
      )}
    </div>
  );
}

/** Which teachers to choose the pruned one among; null: the job has one teacher, which it is. */
export function prunable(teachers: Teacher[], wanted: Task[] | null, taught: string[], ofTeacher: (teacher: Teacher) => Task[]): Teacher[] | null {
  if (taught.length === 1) return null;
  return teachers.filter(({ id }) => taught.length === 0 || taught.includes(id)).filter((each) => !wanted || ofTeacher(each).some((task) => wanted.includes(task)));
}

export function Network({ of }: { of: Candidate }): ReactNode {
  const told = options(of.architecture.options);
  return (
    <>
      <code>{of.architecture.name}</code>
      {told && ` (${told})`}
    </>
  );
}

const costs = (of: Candidate): string =>
  [`${bytes(of.bytes)}`, `${short(of.parameters)} parameters`, `${short(of.flops)} FLOPs`, ...(of.latency_ms === undefined ? [] : [`${of.latency_ms} ms`])].join(", ");
