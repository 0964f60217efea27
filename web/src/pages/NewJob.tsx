import { type FormEvent, type ReactNode, useEffect, useMemo, useState } from "react";

import { api, unwrap } from "../api/client";
import { asProblem, type ProblemError } from "../api/problem";
import type { Catalogue, Dataset, DryRun, Entry, Job, Recipe, Teacher } from "../api/types";
import { AddDataset } from "../components/AddDataset";
import { ArchitecturePicker } from "../components/ArchitecturePicker";
import { CheckedCard } from "../components/CheckedCard";
import { Card, Loading, Page } from "../components/Layout";
import { Problem } from "../components/Problem";
import { Prose } from "../components/Prose";
import { SchemaField } from "../components/SchemaField";
import { Snippets } from "../components/Snippets";
import { useSay } from "../components/Toasts";
import { TeacherUpload } from "../components/UploadForm";
import { useConfigSchema } from "../hooks/useConfigSchema";
import { usePoll } from "../hooks/usePoll";
import { build, type Draft, EMPTY, fromJob, NAMED, OWN_FIELDS, type Schemas } from "../lib/draft";
import { title } from "../lib/jobs";
import { words } from "../lib/format";
import type { Schema } from "../lib/schema";
import { navigate, usePlace } from "../router";

/** Settings asked for at once; the others wait under "More settings". */
const FIRST = ["layers", "epochs", "batch_size", "learning_rate", "augmentation", "seed"];

interface Choices {
  catalogue: Catalogue;
  teachers: Teacher[];
  datasets: Dataset[];
  jobs: Job[];
}

async function load(): Promise<Choices> {
  const many = { params: { query: { limit: 200 } } };
  const [catalogue, teachers, datasets, jobs] = await Promise.all([
    unwrap(api.GET("/catalogue")),
    unwrap(api.GET("/teachers", many)),
    unwrap(api.GET("/datasets", many)),
    unwrap(api.GET("/jobs", { params: { query: { limit: 200, status: ["succeeded"] } } })),
  ]);
  return { catalogue, teachers: teachers.items, datasets: datasets.items, jobs: jobs.items };
}

export function NewJob() {
  const { query } = usePlace();
  const from = query.get("from");
  const { data, problem, reload } = usePoll("choices", load);
  const config = useConfigSchema();
  const [draft, setDraft] = useState<Draft | null>(null);

  useEffect(() => {
    if (!config || draft) return;
    if (!from) return setDraft({ ...EMPTY, teacher: query.get("teacher") ?? "", dataset: query.get("dataset") ?? "" });
    unwrap(api.GET("/jobs/{job_id}", { params: { path: { job_id: from } } }))
      .then((job) => setDraft(fromJob(job, config)))
      .catch(() => setDraft(EMPTY));
  }, [config, draft, from, query]);

  return (
    <Page title={from ? "Clone a job" : "New job"}>
      {problem && !data && <Problem error={problem} onRetry={reload} />}
      {!problem && (!data || !draft || !config) && <Loading what="what there is to choose from" />}
      {data && draft && config && <Form choices={data} draft={draft} config={config} onDraft={setDraft} reload={reload} />}
    </Page>
  );
}

interface FormProps {
  choices: Choices;
  draft: Draft;
  config: Record<string, Schema>;
  onDraft: (draft: Draft) => void;
  reload: () => void;
}

function Form({ choices, draft, config, onDraft, reload }: FormProps) {
  const { catalogue, teachers, datasets, jobs } = choices;
  const [problem, setProblem] = useState<ProblemError | null>(null);
  const [checked, setChecked] = useState<DryRun | null>(null);
  const [busy, setBusy] = useState("");
  const say = useSay();
  const recipe = catalogue.recipes.find((each) => each.name === draft.recipe);
  const selection = catalogue.selections.find((each) => each.name === draft.selection);
  const needsTeacher = recipe?.needs_teacher ?? true;
  const schemas: Schemas = useMemo(
    () => ({ config, recipe: (recipe?.parameters ?? {}) as Record<string, Schema>, selection: (selection?.parameters ?? {}) as Record<string, Schema> }),
    [config, recipe, selection],
  );
  const { body, errors } = useMemo(() => build(draft, schemas, needsTeacher), [draft, schemas, needsTeacher]);
  const registries = { losses: catalogue.losses.map((each) => each.name) };
  const complete = draft.dataset !== "" && draft.student !== "" && (!needsTeacher || draft.teacher !== "") && errors.size === 0;

  function set(change: Partial<Draft>): void {
    setChecked(null);
    setProblem(null);
    onDraft({ ...draft, ...change });
  }
  const at = (pointer: string): string | undefined =>
    errors.get(pointer) ?? problem?.problem.errors?.find((each) => each.pointer === pointer || each.pointer === `${pointer}/name`)?.message;
  const setting = (name: string): ReactNode =>
    config[name] && (
      <SchemaField key={name} name={name} schema={config[name]} value={draft.config[name] ?? ""} error={at(`/config/${name}`)} onChange={(text) => set({ config: { ...draft.config, [name]: text } })} />
    );

  async function send(dryRun: boolean): Promise<void> {
    setBusy(dryRun ? "Checking…" : "Submitting…");
    setProblem(null);
    try {
      const answer = await unwrap(api.POST("/jobs", { params: { query: { dry_run: dryRun } }, body }));
      if ("id" in answer) {
        say("Queued.");
        navigate(`/jobs/${answer.id}`);
      } else setChecked(answer);
    } catch (error) {
      setProblem(asProblem(error));
    }
    setBusy("");
  }

  function submit(event: FormEvent): void {
    event.preventDefault();
    void send(false);
  }

  const rest = Object.keys(config).filter((name) => !FIRST.includes(name) && !OWN_FIELDS.includes(name));
  return (
    <div className="new-job-grid">
      <div>
        <Card title="1. Recipe">
          <RecipeChoice recipes={catalogue.recipes} chosen={draft.recipe} onChoose={(name) => set({ recipe: name, recipeParameters: {} })} />
        </Card>
        {needsTeacher && (
          <Card title="2. Teacher">
            <TeacherChoice teachers={teachers} chosen={draft.teacher} error={at("/teacher")} onChoose={(teacher) => set({ teacher })} reload={reload} />
          </Card>
        )}
        <Card title={needsTeacher ? "3. Dataset" : "2. Dataset"}>
          <DatasetChoice catalogue={catalogue} datasets={datasets} chosen={draft.dataset} error={at("/dataset")} onChoose={(dataset) => set({ dataset })} reload={reload} />
        </Card>
        <Card title={needsTeacher ? "4. Student" : "3. Student"}>
          <div className="grid2 wide-first">
            <ArchitecturePicker label="Architecture" value={draft.student} error={at("/student")} onChange={(student) => set({ student })} />
            <label className="field">
              <span>Options</span>
              <input value={draft.options} placeholder="width=8" autoComplete="off" spellCheck={false} onChange={(event) => set({ options: event.target.value })} />
              {at("/student/options") && <span className="help error">{at("/student/options")}</span>}
            </label>
          </div>
          <p className="muted small">
            {catalogue.architectures.toLocaleString("en-GB")} architectures of timm, torchvision and Retort. Options are the constructor&rsquo;s, as <code>name=value</code>.
          </p>
        </Card>
        <form onSubmit={submit} id="new-job">
          <Card title={needsTeacher ? "5. Training" : "4. Training"}>
            <div className="fields">{FIRST.filter((name) => name !== "layers" || recipe?.needs_layers).map(setting)}</div>
            {recipe?.needs_layers && <SelectionChoice selections={catalogue.selections} draft={draft} schemas={schemas} at={at} set={set} />}
            {Object.keys(schemas.recipe).length > 0 && (
              <fieldset>
                <legend>{words(draft.recipe)}: its own parameters</legend>
                <div className="fields">
                  {Object.entries(schemas.recipe).map(([name, schema]) => (
                    <SchemaField key={name} name={name} schema={schema} registries={registries} value={draft.recipeParameters[name] ?? ""} error={at(`/config/recipe_parameters/${name}`)} onChange={(text) => set({ recipeParameters: { ...draft.recipeParameters, [name]: text } })} />
                  ))}
                </div>
              </fieldset>
            )}
            <details>
              <summary>More settings</summary>
              <div className="fields">{rest.map(setting)}</div>
            </details>
          </Card>
          <Card title={needsTeacher ? "6. Name" : "5. Name"}>
            <div className="fields">
              <label className="field">
                <span>Name</span>
                <input value={draft.name} maxLength={200} placeholder="what you will look for later" onChange={(event) => set({ name: event.target.value })} />
              </label>
              <label className="field">
                <span>Labels</span>
                <input value={draft.labels} placeholder="team=vision, try=3" onChange={(event) => set({ labels: event.target.value })} />
                {at("/labels") && <span className="help error">{at("/labels")}</span>}
              </label>
              <label className="field">
                <span>Compare with</span>
                <select value={draft.compareWith} onChange={(event) => set({ compareWith: event.target.value })}>
                  <option value="">no other student</option>
                  {jobs.map((job) => (
                    <option key={job.id} value={job.id}>
                      {title(job)} ({words(job.recipe)})
                    </option>
                  ))}
                </select>
                <span className="help">A student of the same dataset, best one trained by cross entropy: the report then says what distilling bought.</span>
                {at("/compare_with") && <span className="help error">{at("/compare_with")}</span>}
              </label>
            </div>
          </Card>
        </form>
      </div>
      <aside className="submit" aria-label="Submit">
        <Card title="Submit">
          {problem && <Problem error={problem} />}
          {checked && <CheckedCard checked={checked} />}
          {!complete && !problem && <p className="muted small">{missing(draft, needsTeacher, errors.size)}</p>}
          <div className="row wrap">
            <button type="submit" form="new-job" className="button primary" disabled={!complete || busy !== ""}>
              {busy === "Submitting…" ? busy : "Submit job"}
            </button>
            <button type="button" className="button" disabled={!complete || busy !== ""} onClick={() => void send(true)}>
              {busy === "Checking…" ? busy : "Check only"}
            </button>
          </div>
          <Snippets body={body} />
        </Card>
      </aside>
    </div>
  );
}

function missing(draft: Draft, needsTeacher: boolean, errors: number): string {
  const parts = [needsTeacher && !draft.teacher && "a teacher", !draft.dataset && "a dataset", !draft.student && "a student"].filter(Boolean);
  if (parts.length > 0) return `Still to choose: ${parts.join(", ")}.`;
  return errors ? "Some settings are not what they should be." : "";
}

function RecipeChoice({ recipes, chosen, onChoose }: { recipes: Recipe[]; chosen: string; onChoose: (name: string) => void }) {
  return (
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
  );
}

interface ChoiceProps {
  chosen: string;
  error?: string;
  onChoose: (id: string) => void;
  reload: () => void;
}

function TeacherChoice({ teachers, chosen, error, onChoose, reload }: ChoiceProps & { teachers: Teacher[] }) {
  const [uploading, setUploading] = useState(false);
  return (
    <>
      <div className="row">
        <select aria-label="Teacher" value={chosen} onChange={(event) => onChoose(event.target.value)} aria-invalid={error ? true : undefined}>
          <option value="">{teachers.length === 0 ? "No teacher is registered yet" : "Choose a teacher"}</option>
          {teachers.map((teacher) => (
            <option key={teacher.id} value={teacher.id} disabled={teacher.status !== "ready"}>
              {teacher.name || teacher.id} ({teacher.architecture.name}
              {teacher.status === "ready" ? "" : `, ${teacher.status}`})
            </option>
          ))}
        </select>
        <button type="button" className="button" aria-expanded={uploading} onClick={() => setUploading(!uploading)}>
          Upload
        </button>
      </div>
      {error && <p className="help error">{error}</p>}
      {uploading && (
        <TeacherUpload
          onDone={(teacher) => {
            setUploading(false);
            reload();
            onChoose(teacher.id);
          }}
        />
      )}
    </>
  );
}

function DatasetChoice({ catalogue, datasets, chosen, error, onChoose, reload }: ChoiceProps & { catalogue: Catalogue; datasets: Dataset[] }) {
  const [uploading, setUploading] = useState(false);
  const registered = new Set(datasets.filter((each) => each.kind === "named").map((each) => each.name));
  const named = catalogue.datasets.filter((each) => !registered.has(each.name));
  return (
    <>
      <div className="row">
        <select aria-label="Dataset" value={chosen} onChange={(event) => onChoose(event.target.value)} aria-invalid={error ? true : undefined}>
          <option value="">Choose a dataset</option>
          {datasets.length > 0 && (
            <optgroup label="Registered">
              {datasets.map((dataset) => (
                <option key={dataset.id} value={dataset.id} disabled={dataset.status !== "ready"}>
                  {dataset.name || dataset.id}
                  {dataset.status === "ready" ? "" : ` (${dataset.status})`}
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
        </select>
        <button type="button" className="button" aria-expanded={uploading} onClick={() => setUploading(!uploading)}>
          Upload
        </button>
      </div>
      {error && <p className="help error">{error}</p>}
      {uploading && (
        <AddDataset
          onDone={(dataset) => {
            setUploading(false);
            reload();
            onChoose(dataset.id);
          }}
        />
      )}
    </>
  );
}

interface SelectionProps {
  selections: Entry[];
  draft: Draft;
  schemas: Schemas;
  at: (pointer: string) => string | undefined;
  set: (change: Partial<Draft>) => void;
}

function SelectionChoice({ selections, draft, schemas, at, set }: SelectionProps) {
  const chosen = selections.find((each) => each.name === draft.selection);
  return (
    <fieldset>
      <legend>Which layers</legend>
      <label className="field">
        <span>Selection rule</span>
        <select value={draft.selection} onChange={(event) => set({ selection: event.target.value, selectionParameters: {} })}>
          <option value="">auto (default)</option>
          {selections.filter((each) => each.name !== "auto").map((each) => (
            <option key={each.name} value={each.name}>
              {words(each.name)}
            </option>
          ))}
        </select>
        <span className="help">{at("/config/selection") ? <span className="error">{at("/config/selection")}</span> : <Prose text={(chosen ?? selections.find((each) => each.name === "auto"))?.summary ?? ""} />}</span>
      </label>
      <div className="fields">
        {Object.entries(schemas.selection).map(([name, schema]) => (
          <SchemaField key={name} name={name} schema={schema} value={draft.selectionParameters[name] ?? ""} error={at(`/config/selection_parameters/${name}`)} onChange={(text) => set({ selectionParameters: { ...draft.selectionParameters, [name]: text } })} />
        ))}
      </div>
    </fieldset>
  );
}
