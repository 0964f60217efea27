import { type FormEvent, useId, useState } from "react";

import { api, unwrap } from "../api/client";
import { asProblem, type ProblemError } from "../api/problem";
import type { Catalogue, Job, StudyDryRun } from "../api/types";
import { BudgetTable } from "../components/BudgetTable";
import { Card, Loading, Page } from "../components/Layout";
import { Problem } from "../components/Problem";
import { Snippets } from "../components/Snippets";
import { BudgetFields, StudentKinds } from "../components/StudentChoice";
import { useAlone } from "../hooks/useAlone";
import { usePoll } from "../hooks/usePoll";
import { useRequestSchemas } from "../hooks/useRequestSchemas";
import { duration, words } from "../lib/format";
import { title } from "../lib/jobs";
import { kindsFor, lacking, NO_SCHEMAS, type StudentKind } from "../lib/student";
import { EMPTY_STUDY, NO_PLACE, type Place, study, type StudyDraft } from "../lib/varying";
import { Link, navigate, usePlace } from "../router";

const PLACES = ["/config/recipe", "/config/learning_rate", "/config/layers", "/config/selection", "/config/epochs", "/config/batch_size", "/config/optimizer", "/config/augmentation", "/student", "/teacher"];

/** A study that varies a job. */
export function NewStudy() {
  const { query } = usePlace();
  const id = query.get("job") ?? "";
  const { data, problem, reload } = usePoll(`varied ${id}`, async () => {
    const [job, catalogue] = await Promise.all([unwrap(api.GET("/jobs/{job_id}", { params: { path: { job_id: id } } })), unwrap(api.GET("/catalogue"))]);
    return { job, catalogue };
  });
  if (!id) {
    return (
      <Page title="New study">
        <p>
          A study varies a job: open <Link to="/">one</Link> and choose “Vary…”.
        </p>
      </Page>
    );
  }
  if (!data) return <Page title="New study">{problem ? <Problem error={problem} onRetry={reload} /> : <Loading what="the job" />}</Page>;
  return <Form job={data.job} catalogue={data.catalogue} />;
}

function Form({ job, catalogue }: { job: Job; catalogue: Catalogue }) {
  const [draft, setDraft] = useState<StudyDraft>({ ...EMPTY_STUDY, name: title(job) });
  const [checked, setChecked] = useState<StudyDryRun | null>(null);
  const [problem, setProblem] = useState<ProblemError | null>(null);
  const alone = useAlone();
  const schemas = useRequestSchemas().data?.student ?? NO_SCHEMAS;
  const errors = new Map<string, string>();
  const body = study(job, draft, schemas, errors);
  const kinds = kindsFor(schemas, null).filter((kind) => kind !== "pruned");
  const at = (pointer: string): string | undefined => errors.get(pointer) ?? problem?.problem.errors?.find((each) => each.pointer.endsWith(pointer))?.message;
  const unready = errors.size > 0 || lacking(draft.student, schemas) !== "";
  const change = (part: Partial<StudyDraft>): void => {
    setDraft((old) => ({ ...old, ...part }));
    setChecked(null);
    setProblem(null);
  };
  const send = (work: () => Promise<void>): void =>
    void alone(async () => {
      setProblem(null);
      try {
        await work();
      } catch (error) {
        setProblem(asProblem(error));
      }
    });
  const check = (): void => send(async () => setChecked((await unwrap(api.POST("/studies", { params: { query: { dry_run: true } }, body }))) as StudyDryRun));
  const begin = (event: FormEvent): void => {
    event.preventDefault();
    send(async () => {
      const made = await unwrap(api.POST("/studies", { body }));
      if ("id" in made) navigate(`/studies/${made.id}`);
    });
  };
  return (
    <Page title="New study" above={<p className="crumbs">varies <Link to={`/jobs/${job.id}`}>{title(job)}</Link></p>}>
      <form onSubmit={begin}>
        <Card title="What varies">
          {draft.places.map((place, at) => (
            <PlaceRow
              key={at}
              place={place}
              number={at + 1}
              onChange={(next) => change({ places: draft.places.map((old, other) => (other === at ? next : old)) })}
              onRemove={draft.places.length > 1 || draft.student.kind === "budget" ? () => change({ places: draft.places.filter((_, other) => other !== at) }) : undefined}
            />
          ))}
          <button type="button" className="button small" onClick={() => change({ places: [...draft.places, NO_PLACE] })}>
            Vary another
          </button>
          <datalist id="places">
            {PLACES.map((pointer) => <option key={pointer} value={pointer} />)}
          </datalist>
        </Card>
        {kinds.length > 1 && (
          <Card title="Student">
            <StudentKinds kinds={kinds} chosen={draft.student.kind} texts={STUDENTS} onChoose={(kind) => change({ student: { ...draft.student, kind }, ...(kind === "budget" && { strategy: "asha", seeds: "1" }) })} />
            {draft.student.kind === "budget" && <BudgetFields draft={draft.student} schemas={schemas} at={at} problem={problem} set={(part) => change({ student: { ...draft.student, ...part } })} />}
          </Card>
        )}
        <Card title="How">
          <div className="row wrap">
            <Field label="Strategy">
              {(id) => (
                <select id={id} value={draft.strategy} onChange={(event) => change({ strategy: event.target.value })}>
                  {(catalogue.strategies ?? []).map((each) => (
                    <option key={each.name} value={each.name} title={each.summary}>
                      {words(each.name)}
                    </option>
                  ))}
                </select>
              )}
            </Field>
            {(["seeds", "trials", "minutes", "parallel", "confirm"] as const).map((name) => (
              <Field key={name} label={LABELS[name]}>
                {(id) => <input id={id} inputMode="numeric" size={6} value={draft[name]} onChange={(event) => change({ [name]: event.target.value })} />}
              </Field>
            ))}
            <Field label="Name">{(id) => <input id={id} value={draft.name} onChange={(event) => change({ name: event.target.value })} />}</Field>
          </div>
        </Card>
        {problem && <Problem error={problem} />}
        {checked && <Estimate checked={checked} />}
        <div className="row wrap">
          <button type="button" className="button" disabled={unready} onClick={check}>
            Check
          </button>
          <button type="submit" className="button primary" disabled={unready}>
            Begin
          </button>
        </div>
      </form>
      <Snippets body={body} noun="study" path="/studies" />
    </Page>
  );
}

const STUDENTS: Partial<Record<StudentKind, [string, string]>> = {
  named: ["The job’s", "Every trial has it, unless a place varies it."],
  budget: ["By budget", "The most promising within the budget are trained, and some within half and double of it."],
};
const LABELS = { seeds: "Seeds of each", trials: "Trials at most", minutes: "Minutes at most", parallel: "At once", confirm: "Fresh seeds of the winner" };

function Estimate({ checked }: { checked: StudyDryRun }) {
  const points = checked.points === null ? "endlessly many points" : `${checked.points} points`;
  return (
    <>
      <p role="status">
        The space has {points}; {checked.checked} were checked.{" "}
        {checked.trials !== null && `${checked.trials} trials with those that confirm the winner. `}
        {checked.hours === null ? "How long they take is not known." : `About ${duration(3600 * checked.hours)} of device time, if each takes as long as the base job.`}
      </p>
      {checked.student_budget && (
        <Card title="What the budget buys">
          <BudgetTable found={checked.student_budget} />
        </Card>
      )}
    </>
  );
}

function Field({ label, children }: { label: string; children: (id: string) => React.ReactNode }) {
  const id = useId();
  return (
    <span className="field">
      <label htmlFor={id}>{label}</label>
      {children(id)}
    </span>
  );
}

function PlaceRow({ place, number, onChange, onRemove }: { place: Place; number: number; onChange: (next: Place) => void; onRemove?: () => void }) {
  const set = (part: Partial<Place>): void => onChange({ ...place, ...part });
  return (
    <fieldset className="row wrap">
      <legend className="visually-hidden">Place {number}</legend>
      <Field label="Place">{(id) => <input id={id} list="places" value={place.pointer} placeholder="/config/..." onChange={(event) => set({ pointer: event.target.value })} />}</Field>
      <Field label="Values">
        {(id) => (
          <select id={id} value={place.kind} onChange={(event) => set({ kind: event.target.value as Place["kind"] })}>
            <option value="choices">choices</option>
            <option value="range">a range</option>
          </select>
        )}
      </Field>
      {place.kind === "choices" ? (
        <Field label="Choices">{(id) => <input id={id} size={40} value={place.choices} placeholder="feature_only, logit" onChange={(event) => set({ choices: event.target.value })} />}</Field>
      ) : (
        <>
          <Field label="Low">{(id) => <input id={id} size={8} value={place.low} onChange={(event) => set({ low: event.target.value })} />}</Field>
          <Field label="High">{(id) => <input id={id} size={8} value={place.high} onChange={(event) => set({ high: event.target.value })} />}</Field>
          <label>
            <input type="checkbox" checked={place.log} onChange={(event) => set({ log: event.target.checked })} /> even by ratio
          </label>
          <label>
            <input type="checkbox" checked={place.integer} onChange={(event) => set({ integer: event.target.checked })} /> whole
          </label>
        </>
      )}
      {onRemove && (
        <button type="button" className="button ghost small" onClick={onRemove}>
          Remove
        </button>
      )}
    </fieldset>
  );
}
