import { type FormEvent, type ReactNode, useEffect, useMemo, useState } from "react";

import { api, unwrap } from "../api/client";
import { asProblem, type ProblemError } from "../api/problem";
import type { Catalogue, Dataset, DryRun, Job, Task, Teacher } from "../api/types";
import { ArchitecturePicker } from "../components/ArchitecturePicker";
import { CheckedCard } from "../components/CheckedCard";
import { DatasetChoice, FurtherTeachers, RecipeChoice, StartChoice, TeacherChoice, Unlisted } from "../components/Choices";
import { Card, Loading, Page } from "../components/Layout";
import { MoreButton } from "../components/MoreButton";
import { Problem } from "../components/Problem";
import { Prose } from "../components/Prose";
import { SchemaField } from "../components/SchemaField";
import { SelectionChoice } from "../components/SelectionChoice";
import { Snippets } from "../components/Snippets";
import { BudgetFields, prunable, PruningFields, StudentKinds } from "../components/StudentChoice";
import { StudentOptions } from "../components/StudentOptions";
import { useSay } from "../components/Toasts";
import { Warnings } from "../components/Warnings";
import { type RequestSchemas, useRequestSchemas } from "../hooks/useRequestSchemas";
import { type Older, useOlder } from "../hooks/useOlder";
import { usePoll } from "../hooks/usePoll";
import { useTasks } from "../hooks/useTasks";
import { AUTO, build, byPreset, type Draft, EMPTY, FINISHED, fromJob, OWN_FIELDS, type Schemas, withPreset } from "../lib/draft";
import { title } from "../lib/jobs";
import { words } from "../lib/format";
import { once } from "../lib/once";
import { datasetFindings } from "../lib/report";
import type { Schema } from "../lib/schema";
import { kindsFor, lacking } from "../lib/student";
import { chosenTasks, isFolder, misfits, offers, ofTeacher, settingsFor, takesWeights, tasksOf } from "../lib/tasks";
import { apart, fits, stranger, unfit, unlearnable, withheld, withoutLabels } from "../lib/teaching";
import { navigate, usePlace } from "../router";

/** Settings asked for at once; the others wait under "More settings". */
const FIRST = ["preset", "layers", "epochs", "batch_size", "optimizer", "schedule", "learning_rate", "augmentation", "max_length", "text_features", "seed"];

/** Settings of recipe `auto`. */
const CHOOSING = ["auto_minutes", "auto_steps", "auto_recipes"];

/** A warning of a dataset's inspection -> the settings that do something about it, which are then asked for beside it. */
const MENDED_BY: Record<string, string[]> = { classes_skewed: ["class_weights", "sampling"] };

interface Choices {
  catalogue: Catalogue;
  teachers: Older<Teacher>;
  datasets: Older<Dataset>;
  jobs: Older<Job>;
}

const PAGE = 200;
const teachersFrom = (cursor?: string) => unwrap(api.GET("/teachers", { params: { query: { limit: PAGE, cursor } } }));
const datasetsFrom = (cursor?: string) => unwrap(api.GET("/datasets", { params: { query: { limit: PAGE, cursor } } }));
const jobsFrom = (cursor?: string) => unwrap(api.GET("/jobs", { params: { query: { limit: PAGE, cursor, status: ["succeeded"] } } }));

async function load() {
  const [catalogue, teachers, datasets, jobs] = await Promise.all([unwrap(api.GET("/catalogue")), teachersFrom(), datasetsFrom(), jobsFrom()]);
  return { catalogue, teachers, datasets, jobs };
}

/** Another address is another form: a new job after a clone starts empty. */
export function NewJob() {
  const { query } = usePlace();
  return <Fresh key={query.toString()} query={query} />;
}

function Fresh({ query }: { query: URLSearchParams }) {
  const from = query.get("from");
  const { data, problem, reload } = usePoll("choices", load);
  const older = { teachers: useOlder(data?.teachers, teachersFrom), datasets: useOlder(data?.datasets, datasetsFrom), jobs: useOlder(data?.jobs, jobsFrom) };
  const { data: request, problem: unknown, reload: ask } = useRequestSchemas();
  const config = request?.config;
  const [draft, setDraft] = useState<Draft | null>(null);
  const [lost, setLost] = useState<ProblemError | null>(null);

  useEffect(() => {
    if (!config || draft) return;
    if (!from) return setDraft({ ...EMPTY, teacher: query.get("teacher") ?? "", dataset: query.get("dataset") ?? "" });
    unwrap(api.GET("/jobs/{job_id}", { params: { path: { job_id: from } } }))
      .then((job) => setDraft(query.has("extend") ? { ...fromJob(job, config), name: job.name, start: FINISHED + job.id } : fromJob(job, config)))
      .catch((error: unknown) => {
        setLost(asProblem(error));
        setDraft(EMPTY);
      });
  }, [config, draft, from, query]);

  function cloneAgain(): void {
    setLost(null);
    setDraft(null);
  }

  const missing = !data || !draft || !request;
  return (
    <Page title={!from ? "New job" : query.has("extend") ? "Go on from a job" : "Clone a job"}>
      {problem && !data && <Problem error={problem} onRetry={reload} />}
      {unknown && !config && <Problem error={unknown} onRetry={ask} />}
      {missing && (data || !problem) && (config || !unknown) && <Loading what="what there is to choose from" />}
      {lost && (
        <Problem error={lost} onRetry={cloneAgain}>
          <p>Nothing is cloned: the form is empty.</p>
        </Problem>
      )}
      {!missing && <Form choices={{ catalogue: data.catalogue, ...older }} draft={draft} request={request} onDraft={setDraft} reload={reload} />}
    </Page>
  );
}

interface FormProps {
  choices: Choices;
  draft: Draft;
  request: RequestSchemas;
  onDraft: (draft: Draft) => void;
  reload: () => void;
}

function Form({ choices, draft, request, onDraft, reload }: FormProps) {
  const { config } = request;
  const { catalogue } = choices;
  const [teachers, datasets, jobs] = [choices.teachers.items, choices.datasets.items, choices.jobs.items];
  const [problem, setProblem] = useState<ProblemError | null>(null);
  const [checked, setChecked] = useState<DryRun | null>(null);
  const [busy, setBusy] = useState("");
  const [sending] = useState(once);
  const say = useSay();
  const recipe = catalogue.recipes.find((each) => each.name === draft.recipe);
  const selection = catalogue.selections.find((each) => each.name === draft.selection);
  const preset = catalogue.presets.find((each) => each.name === draft.config.preset);
  const tasks = useTasks();
  const fitting = (of: Draft) => chosenTasks(of, tasks, datasets, teachers, catalogue.datasets);
  const found = fitting(draft);
  const about = tasksOf(found);
  const auto = draft.recipe === AUTO;
  const needsTeacher = recipe?.needs_teacher ?? true;
  const takesTeacher = needsTeacher || (about?.every((task) => task.needs_teacher) ?? false);
  const schemas: Schemas = useMemo(
    () => ({ config: withPreset(settingsFor(config, tasks, tasksOf(chosenTasks(draft, tasks, datasets, teachers, catalogue.datasets))), preset), recipe: (recipe?.parameters ?? {}) as Record<string, Schema>, selection: (selection?.parameters ?? {}) as Record<string, Schema>, student: request.student }),
    [config, request, draft, tasks, datasets, teachers, catalogue, recipe, selection, preset],
  );
  const built = useMemo(() => build(draft, schemas, takesTeacher), [draft, schemas, takesTeacher]);
  const body = built.body;
  const why = takesTeacher && needsTeacher ? stranger(draft, teachers, datasets) : "";
  const bare = withoutLabels(draft, datasets);
  const further = takesTeacher ? draft.further : [];
  const offered = catalogue.recipes.filter((each) => each.name === draft.recipe || !about || about.some((task) => offers(task, each.name)));
  const unlearnt = unlearnable(recipe, bare) || unfit(recipe, draft.recipeParameters, why) || apart(recipe, about, further);
  const kinds = kindsFor(request.student, about);
  const unsaid = draft.kind === "named" ? (draft.student ? "" : "a student") : kinds.includes(draft.kind) ? lacking(draft, request.student) : "another kind of student";
  const unnamed = lackingTeacher(draft, takesTeacher, auto && !(about?.every((task) => task.needs_teacher) ?? false));
  const errors = new Map([...built.errors, ...misfits(found, draft.recipe, takesTeacher), ...(unlearnt ? [["/config/recipe", unlearnt] as const] : [])]);
  const registries = { losses: namesOf(catalogue.losses), optimizers: namesOf(catalogue.optimizers), presets: namesOf(catalogue.presets) };
  const complete = draft.dataset !== "" && unsaid === "" && !unnamed && errors.size === 0;
  const number = takesTeacher ? 1 : 0;

  /** Where a task has one likely student it is offered. */
  function withStudent(next: Draft): Draft {
    const likely = new Set(tasksOf(fitting(next))?.map(({ student }) => student));
    return next.kind === "named" && next.student === "" && likely.size === 1 ? { ...next, student: [...likely][0]! } : next;
  }
  useEffect(() => onDraft(withStudent(draft)), []); // a teacher or dataset may have come with the address

  function set(change: Partial<Draft>): void {
    setChecked(null);
    setProblem(null);
    sending.renew();
    const next = { ...draft, ...change };
    onDraft("student" in change ? next : withStudent(next));
  }
  const at = (pointer: string): string | undefined => errors.get(pointer) ?? problem?.problem.errors?.find((each) => belongs(each.pointer, pointer))?.message;
  const setting = (name: string): ReactNode =>
    schemas.config[name] && (
      <SchemaField key={name} name={name} schema={schemas.config[name]} registries={registries} value={draft.config[name] ?? ""} error={at(`/config/${name}`)} onChange={(text) => set({ config: { ...draft.config, [name]: text }, ...(name === "preset" ? byPreset(catalogue.presets.find((each) => each.name === text)) : {}) })} />
    );

  async function send(dryRun: boolean): Promise<void> {
    setBusy(dryRun ? "Checking…" : "Submitting…");
    setProblem(null);
    try {
      const header = dryRun ? {} : { "Idempotency-Key": sending.key(body) };
      const answer = await unwrap(api.POST("/jobs", { params: { query: { dry_run: dryRun }, header }, body }));
      if ("id" in answer) {
        sending.renew();
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

  const doubts = datasetFindings(datasets.find(({ id }) => id === draft.dataset)?.report ?? null)?.warnings ?? [];
  const mending = doubts.flatMap(({ code }) => MENDED_BY[code] ?? []);
  const rest = Object.keys(schemas.config).filter((name) => ![...FIRST, ...mending, ...OWN_FIELDS, ...CHOOSING].includes(name));
  return (
    <div className="new-job-grid">
      <div>
        <Card title="1. Recipe">
          <RecipeChoice recipes={[...offered.filter((each) => each.name === draft.recipe || fits(each, why, further, bare)), ...chosenByRun(config)]} error={at("/config/recipe")} chosen={draft.recipe} onChoose={(name) => set({ recipe: name, recipeParameters: {} })} />
          {auto && <div className="fields spaced">{CHOOSING.map(setting)}</div>}
          {withheld(offered.filter(({ name }) => name !== draft.recipe), why, further, bare).map((reason) => <p key={reason} className="help">{reason}</p>)}
        </Card>
        {takesTeacher && (
          <Card title={needsTeacher ? "2. Teacher" : "2. Base model"}>
            <TeacherChoice teachers={choices.teachers} wanted={found.dataset} base={!needsTeacher} chosen={draft.teacher} error={at("/teacher")} onChoose={(teacher) => set({ teacher, further: draft.further.filter((id) => id !== teacher) })} reload={reload} />
            {draft.teacher && (draft.further.length > 0 || ((auto || recipe?.several_teachers) && (!about || about.some((task) => task.several_teachers)))) && (
              <FurtherTeachers teachers={teachers} wanted={found.dataset ?? found.teacher} first={draft.teacher} chosen={draft.further} onChoose={(further) => set({ further })} />
            )}
          </Card>
        )}
        <Card title={`${number + 2}. Dataset`}>
          <DatasetChoice catalogue={catalogue} datasets={choices.datasets} chosen={draft.dataset} error={at("/dataset")} onChoose={(dataset) => set({ dataset })} reload={reload} />
        </Card>
        <Card title={`${number + 3}. Student`}>
          <StudentKinds kinds={kinds} chosen={draft.kind} onChoose={(kind) => set({ kind })} />
          {draft.kind === "budget" && <BudgetFields draft={draft} schemas={request.student} at={at} set={set} problem={problem} />}
          {draft.kind === "pruned" && (
            <PruningFields draft={draft} schemas={request.student} at={at} set={set} teachers={prunable(teachers, found.dataset, takesTeacher ? [draft.teacher, ...further].filter(Boolean) : [], (teacher) => ofTeacher(tasks, teacher))} />
          )}
          {draft.kind === "named" && (
            <>
              <div className={isFolder(tasks, draft.student) ? "fields-stack" : "grid2 wide-first"}>
                <ArchitecturePicker label="Architecture" value={draft.student} wanted={found.dataset ?? found.teacher} error={at("/student")} onChange={(student) => set({ student })} />
                <StudentOptions architecture={draft.student} value={draft.options} error={at("/student/options")} onChange={(given) => set({ options: given })} />
              </div>
              {takesWeights(about) && <StartChoice teachers={teachers} jobs={jobs} chosen={draft.start} error={at("/student/weights")} onChoose={(start) => set({ start })} />}
              {takesWeights(about) && draft.start && (
                <label className="field">
                  <span>What goes where</span>
                  <textarea rows={1} value={draft.map} placeholder="stem=conv1, stages.0=layer1" onChange={(event) => set({ map: event.target.value })} />
                  <span className="help">Only for weights of another architecture: the student&rsquo;s names and those of the weights, as far as a dot. Left empty, blocks of one family are taken.</span>
                </label>
              )}
              <StudentNote tasks={about} architectures={catalogue.architectures} />
            </>
          )}
        </Card>
        <form onSubmit={submit} id="new-job">
          <Card title={`${number + 4}. Training`}>
            <div className="fields">{FIRST.filter((name) => name !== "layers" || auto || recipe?.needs_layers).map(setting)}</div>
            {mending.length > 0 && (
              <fieldset>
                <legend>What the dataset&rsquo;s inspection warns of</legend>
                <Warnings job={{ warnings: doubts }} />
                <div className="fields">{mending.map(setting)}</div>
              </fieldset>
            )}
            {(auto || recipe?.needs_layers) && <SelectionChoice selections={catalogue.selections} draft={draft} schemas={schemas} at={at} set={set} />}
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
          <Card title={`${number + 5}. Name`}>
            <div className="fields">
              <label className="field">
                <span>Name</span>
                <input value={draft.name} maxLength={200} placeholder="what you will look for later" onChange={(event) => set({ name: event.target.value })} />
              </label>
              <label className="field">
                <span>Labels</span>
                <textarea rows={1} value={draft.labels} placeholder="team=vision, try=3" onChange={(event) => set({ labels: event.target.value })} />
                <span className="help">
                  Names and values, kept as typed: <code>team=vision, try=3</code>, or one a line. A value that holds a comma goes in quotes: <code>note=&quot;a, b&quot;</code>.
                </span>
                {at("/labels") && <span className="help error">{at("/labels")}</span>}
              </label>
              <label className="field">
                <span>Processes</span>
                <input value={draft.processes} placeholder="1" onChange={(event) => set({ processes: event.target.value })} />
                <span className="help">
                  That train together, each a share of every batch: a number, or <code>auto</code> for all devices of a worker&apos;s slot.
                </span>
                {at("/resources/processes") && <span className="help error">{at("/resources/processes")}</span>}
              </label>
              <label className="field">
                <span>Hosts</span>
                <input type="number" min={1} value={draft.hosts} placeholder="1" onChange={(event) => set({ hosts: event.target.value })} />
                <span className="help">Of a Ray cluster, which share the processes equally; 1: a worker&apos;s own machine.</span>
                {at("/resources/hosts") && <span className="help error">{at("/resources/hosts")}</span>}
              </label>
              <label className="field">
                <span>Sharding</span>
                <select value={draft.sharding} onChange={(event) => set({ sharding: event.target.value })}>
                  <option value="">none: each process holds the whole networks</option>
                  <option value="full">full: each process holds a share</option>
                </select>
                <span className="help">For networks that do not fit one device. Every step takes more traffic.</span>
                {at("/resources/sharding") && <span className="help error">{at("/resources/sharding")}</span>}
              </label>
              {(bare || draft.probe) && (
                <label className="field">
                  <span>Probe</span>
                  <select value={draft.probe} onChange={(event) => set({ probe: event.target.value })}>
                    <option value="">none: nothing is scored</option>
                    {choices.datasets.items
                      .filter((each) => each.task === "classify_images" && each.status === "ready" && !withoutLabels({ dataset: each.id }, choices.datasets.items))
                      .map((each) => (
                        <option key={each.id} value={each.id}>
                          {each.name || each.id}
                        </option>
                      ))}
                  </select>
                  <span className="help">A small dataset with labels: its nearest neighbours and a linear probe say what the features are worth.</span>
                  {at("/probe") && <span className="help error">{at("/probe")}</span>}
                </label>
              )}
              <label className="field">
                <span>Compare with</span>
                <select value={draft.compareWith} onChange={(event) => set({ compareWith: event.target.value })}>
                  <option value="">no other student</option>
                  <Unlisted chosen={draft.compareWith} among={jobs} />
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
            <MoreButton list={choices.jobs} what="succeeded jobs" />
          </Card>
        </form>
      </div>
      <aside className="submit" aria-label="Submit">
        <Card title="Submit">
          {problem && <Problem error={problem} />}
          {checked && <CheckedCard checked={checked} />}
          {!complete && !problem && <p className="muted small">{missing(unnamed, draft.dataset === "", unsaid, errors)}</p>}
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

const namesOf = (entries: { name: string }[]): string[] => entries.map((each) => each.name);

/** Whether what is wrong at `where` is shown at the field of `pointer`: the student's options have a field of their own. */
const belongs = (where: string, pointer: string): boolean =>
  where === pointer || (where.startsWith(`${pointer}/`) && !(pointer === "/student" && /^\/student\/(options|weights|budget|families|prune)/.test(where)));

function StudentNote({ tasks, architectures }: { tasks: Task[] | null; architectures: number }) {
  const [hint, ...others] = [...new Set(tasks?.map(({ student_hint }) => student_hint))];
  if (hint && others.length === 0)
    return (
      <p className="muted small spaced">
        <Prose text={hint} />
      </p>
    );
  return (
    <p className="muted small">
      {architectures.toLocaleString("en-GB")} architectures of the libraries that the service has. Options are the constructor&rsquo;s, as <code>name=value</code>.
    </p>
  );
}

/** Recipe `auto`, where the service has it. */
const chosenByRun = (config: Record<string, Schema>): { name: string; summary: string }[] =>
  config.auto_minutes ? [{ name: AUTO, summary: "Compares the recipes that fit on validation samples, then trains by the best. Check only lists them." }] : [];

/** Whether a teacher is still to be chosen. `optional`: the recipe is chosen by the run, among those that the teacher, or its absence, allows. */
const lackingTeacher = ({ teacher, kind, prune }: Draft, takesTeacher: boolean, optional: boolean): boolean =>
  (takesTeacher && !optional && !teacher) || (kind === "pruned" && !prune.teacher && !(takesTeacher && teacher));

function missing(teacher: boolean, dataset: boolean, student: string, errors: Map<string, string>): string {
  const parts = [teacher && "a teacher", dataset && "a dataset", student].filter(Boolean);
  if (parts.length > 0) return `Still to choose: ${parts.join(", ")}.`;
  return errors.get("/teacher") ?? errors.get("/student") ?? errors.get("/config/recipe") ?? (errors.size > 0 ? "Some settings are not what they should be." : "");
}
