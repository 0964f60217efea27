import { type ReactNode, useState } from "react";

import type { Catalogue, Dataset, Job, Recipe, Task, Teacher } from "../api/types";
import type { Older } from "../hooks/useOlder";
import { useTasks } from "../hooks/useTasks";
import { EMPTY, FINISHED, NAMED, REGISTERED } from "../lib/draft";
import { words } from "../lib/format";
import { title } from "../lib/jobs";
import { architectureOf, classWords, teacherFindings } from "../lib/report";
import { named, ofTeacher, samplesOf, titles } from "../lib/tasks";
import { AddDataset } from "./AddDataset";
import { MoreButton } from "./MoreButton";
import { TeacherUpload } from "./UploadForm";

export function RecipeChoice({ recipes, chosen, error, onChoose }: { recipes: Pick<Recipe, "name" | "summary">[]; chosen: string; error?: string; onChoose: (name: string) => void }) {
  return (
    <>
    {error && <p className="help error">{error}</p>}
    <div className="choices" role="radiogroup" aria-label="Recipe">
      {[...recipes].sort((a, b) => Number(b.name === EMPTY.recipe) - Number(a.name === EMPTY.recipe)).map((recipe) => (
        <label key={recipe.name} className={recipe.name === chosen ? "choice chosen" : "choice"}>
          <input type="radio" name="recipe" value={recipe.name} checked={recipe.name === chosen} onChange={() => onChoose(recipe.name)} />
          <span>
            <b>{words(recipe.name)}</b>
            <span className="muted small">{recipe.summary}</span>
          </span>
        </label>
      ))}
    </div>
    </>
  );
}

/** What is chosen stands in its list even where that lacks it: deleted since, or too old for what is shown. */
export function Unlisted({ chosen, among }: { chosen: string; among: { id: string }[] }) {
  if (chosen === "" || among.some(({ id }) => id === chosen)) return null;
  return <option value={chosen}>{chosen} (not among those listed)</option>;
}

interface ChoiceProps {
  chosen: string;
  error?: string;
  onChoose: (id: string) => void;
  reload: () => void;
}

interface PickProps extends ChoiceProps {
  label: string;
  note?: ReactNode;
  /** All that could be chosen, as far as it is loaded. */
  list: Older<unknown>;
  /** The select's options. */
  children: ReactNode;
  upload: (onDone: (made: { id: string }) => void) => ReactNode;
}

/** One of what is registered, or a form that registers another and then chooses it. */
function Pick({ label, chosen, error, note, list, children, upload, onChoose, reload }: PickProps) {
  const [uploading, setUploading] = useState(false);
  function done(made: { id: string }): void {
    setUploading(false);
    reload();
    onChoose(made.id);
  }
  return (
    <>
      <div className="row">
        <select aria-label={label} value={chosen} onChange={(event) => onChoose(event.target.value)} aria-invalid={error ? true : undefined}>
          {children}
        </select>
        <button type="button" className="button" aria-expanded={uploading} onClick={() => setUploading(!uploading)}>
          Upload
        </button>
      </div>
      {error && <p className="help error">{error}</p>}
      {note}
      <MoreButton list={list} what={`${label.toLowerCase()}s`} />
      {uploading && upload(done)}
    </>
  );
}

/** What the service found of a teacher, in a few words for a list. */
function teacherWords(teacher: Teacher): string {
  const { status, report } = teacher;
  const classes = classWords(teacherFindings(report));
  const head = status !== "ready" ? status : classes.startsWith("none") ? classes : classes && `${classes} classes`;
  return [architectureOf(teacher), head].filter(Boolean).join(", ");
}

interface TeacherChoiceProps extends ChoiceProps {
  teachers: Older<Teacher>;
  /** What the dataset is for: only teachers that answer it are offered. */
  wanted: Task[] | null;
  /** Whether it is only to be started from. */
  base: boolean;
}

export function TeacherChoice({ teachers, wanted, base, ...choice }: TeacherChoiceProps) {
  const tasks = useTasks();
  const offered = teachers.items.filter((each) => each.id === choice.chosen || !wanted || ofTeacher(tasks, each).some((task) => wanted.includes(task)));
  const yet = teachers.more ? "among those listed" : "is registered yet";
  const none = wanted ? `No teacher for ${titles(wanted)} ${yet}` : `No teacher ${yet}`;
  const note = base && <p className="help">{wanted ? `${titles(wanted)}: a` : "A"} student starts from a teacher even where the recipe needs none. One without a head for these classes will do.</p>;
  return (
    <Pick {...choice} label="Teacher" note={note} list={teachers} upload={(onDone) => <TeacherUpload onDone={onDone} />}>
      <option value="">{offered.length === 0 ? none : base ? "Choose what to start from" : "Choose a teacher"}</option>
      <Unlisted chosen={choice.chosen} among={offered} />
      {offered.map((teacher) => (
        <option key={teacher.id} value={teacher.id} disabled={teacher.status !== "ready"}>
          {teacher.name || teacher.id} ({teacherWords(teacher)})
        </option>
      ))}
    </Pick>
  );
}

interface FurtherProps {
  teachers: Teacher[];
  wanted: Task[] | null;
  /** The one that is chosen already. */
  first: string;
  chosen: string[];
  onChoose: (ids: string[]) => void;
}

/** Teachers that teach together with the one that is chosen: each by its own layers, and by the mean of their logits. */
export function FurtherTeachers({ teachers, wanted, first, chosen, onChoose }: FurtherProps) {
  const tasks = useTasks();
  const named = new Map(teachers.map((each) => [each.id, each.name || each.id]));
  const left = teachers.filter((each) => each.status === "ready" && each.id !== first && !chosen.includes(each.id) && (!wanted || ofTeacher(tasks, each).some((task) => wanted.includes(task))));
  return (
    <div className="fields-stack">
      {chosen.map((id) => (
        <div key={id} className="row">
          <span>and {named.get(id) ?? id}</span>
          <button type="button" className="button small" aria-label={`Without ${named.get(id) ?? id}`} onClick={() => onChoose(chosen.filter((each) => each !== id))}>
            Take away
          </button>
        </div>
      ))}
      {left.length > 0 && (
        <select aria-label="Another teacher" value="" onChange={(event) => onChoose([...chosen, event.target.value])}>
          <option value="">Add another teacher that teaches with it</option>
          {left.map((teacher) => (
            <option key={teacher.id} value={teacher.id}>
              {teacher.name || teacher.id} ({teacherWords(teacher)})
            </option>
          ))}
        </select>
      )}
    </div>
  );
}

interface StartProps {
  teachers: Teacher[];
  jobs: Job[];
  chosen: string;
  error?: string;
  onChoose: (start: string) => void;
}

/** What the student starts from, where not from random weights. */
export function StartChoice({ teachers, jobs, chosen, error, onChoose }: StartProps) {
  const ready = teachers.filter(({ status }) => status === "ready");
  const listed = ["", ...ready.map(({ id }) => REGISTERED + id), ...jobs.map(({ id }) => FINISHED + id)];
  return (
    <label className="field">
      <span>Starts from</span>
      <select aria-label="Starts from" value={chosen} onChange={(event) => onChoose(event.target.value)} aria-invalid={error ? true : undefined}>
        <option value="">random weights</option>
        {!listed.includes(chosen) && <option value={chosen}>{chosen.split(":")[1]} (not among those listed)</option>}
        {ready.length > 0 && (
          <optgroup label="Registered checkpoints">
            {ready.map((teacher) => (
              <option key={teacher.id} value={REGISTERED + teacher.id}>
                {teacher.name || teacher.id} ({architectureOf(teacher)})
              </option>
            ))}
          </optgroup>
        )}
        {jobs.length > 0 && (
          <optgroup label="Students of finished jobs">
            {jobs.map((job) => (
              <option key={job.id} value={FINISHED + job.id}>
                {title(job)} ({job.student.name})
              </option>
            ))}
          </optgroup>
        )}
      </select>
      <span className="help">Weights of its own architecture, or of a deeper network of its family. A head of other classes is made anew.</span>
      {error && <span className="help error">{error}</span>}
    </label>
  );
}

const datasetWords = (tasks: Task[], { status, task }: Dataset): string => `(${status === "ready" ? samplesOf(named(tasks, task)) : status})`;

export function DatasetChoice({ catalogue, datasets: list, ...choice }: ChoiceProps & { catalogue: Catalogue; datasets: Older<Dataset> }) {
  const tasks = useTasks();
  const datasets = list.items;
  const registered = new Set(datasets.filter((each) => each.kind === "named").map((each) => each.name));
  const named = catalogue.datasets.filter((each) => !registered.has(each.name));
  return (
    <Pick {...choice} label="Dataset" list={list} upload={(onDone) => <AddDataset onDone={onDone} />}>
      <option value="">Choose a dataset</option>
      {!choice.chosen.startsWith(NAMED) && <Unlisted chosen={choice.chosen} among={datasets} />}
      {datasets.length > 0 && (
        <optgroup label="Registered">
          {datasets.map((dataset) => (
            <option key={dataset.id} value={dataset.id} disabled={dataset.status !== "ready"}>
              {dataset.name || dataset.id} {datasetWords(tasks, dataset)}
            </option>
          ))}
        </optgroup>
      )}
      {named.length > 0 && (
        <optgroup label="Known by name, no upload">
          {named.map((each) => (
            <option key={each.name} value={NAMED + each.name}>
              {each.name}
            </option>
          ))}
        </optgroup>
      )}
    </Pick>
  );
}
