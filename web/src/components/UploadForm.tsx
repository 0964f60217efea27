import { type FormEvent, Fragment, useState } from "react";

import { api, unwrap } from "../api/client";
import type { Dataset, Task, Teacher } from "../api/types";
import { useTasks } from "../hooks/useTasks";
import { pairs } from "../lib/draft";
import { chosen, suggested, trouble } from "../lib/folder";
import { ArchitecturePicker } from "./ArchitecturePicker";
import { byRole, inOrder, type Role } from "../lib/roles";
import { told, unreadable, UNTOLD } from "../lib/seeing";
import { BoxFormatField } from "./BoxFormat";
import { FileDrop } from "./FileDrop";
import { type PixelRange, PixelRangeField } from "./PixelRange";
import { Problem } from "./Problem";
import { Prose } from "./Prose";
import { SeeingFields } from "./Seeing";
import { Sent, Stopped, useUpload } from "./Sending";
import { classesTold, ShardClasses } from "./ShardClasses";

const CHECKPOINTS = ".safetensors,.pt,.pth,.bin,.zip,.tar,.tgz,.gz,.json,.txt,.jinja";
/** What the tasks' teachers are, each said once. */
const checkpointHint = (tasks: Task[]): string => [...new Set(tasks.map((task) => task.teacher_files.replaceAll("`", "")))].join("; ");

export function TeacherUpload({ onDone }: { onDone: (made: Teacher) => void }) {
  const [files, setFiles] = useState<File[]>([]);
  const [architecture, setArchitecture] = useState("");
  const [given, setGiven] = useState("");
  const [name, setName] = useState("");
  const { sending, error, stoppedAt, send, stop } = useUpload<Teacher>("teacher", onDone);
  const tasks = useTasks();
  const [seen, setSeen] = useState(UNTOLD);
  const wrong = trouble(tasks, files, architecture);
  const folders = [...new Set(tasks.filter(({ container }) => container === "folder").map(({ student }) => student))];
  const called = files.length === 1 ? files[0]!.name.replace(/\.[^.]+$/, "") : "";

  function take(all: File[]): void {
    const kept = chosen(all);
    setFiles(kept);
    if (!architecture) setArchitecture(suggested(tasks, kept));
  }
  function submit(event: FormEvent): void {
    event.preventDefault();
    const preprocessing = told(seen);
    const rest = { architecture, options: pairs(given), name: name || called, labels: {}, ...(preprocessing ? { preprocessing } : {}) };
    const sent = (ids: string[]) => (ids.length === 1 ? { upload: ids[0] } : { uploads: ids });
    void send(files, (ids) => unwrap(api.POST("/teachers", { body: { ...sent(ids), ...rest } as never })) as Promise<Teacher>);
  }

  return (
    <form className="upload" onSubmit={submit}>
      <FileDrop label="Drop a checkpoint here, or choose its files" hint={checkpointHint(tasks)} accept={CHECKPOINTS} files={files} many onFiles={take} />
      <ArchitecturePicker label="Its architecture" value={architecture} onChange={setArchitecture} />
      {folders.length > 0 && (
        <p className="help">
          <code>{folders.join(", ")}</code> for a model folder: its config.json says the rest.
        </p>
      )}
      {wrong && (
        <p className="help error" role="alert">
          {wrong}
        </p>
      )}
      <div className="grid2">
        <label className="field">
          <span>Options</span>
          <input value={given} onChange={(event) => setGiven(event.target.value)} placeholder="width=16" autoComplete="off" />
        </label>
        <label className="field">
          <span>Name</span>
          <input value={name} onChange={(event) => setName(event.target.value)} placeholder={called || "resnet34 on our photographs"} maxLength={200} />
        </label>
      </div>
      <SeeingFields seen={seen} onChange={setSeen} />
      {error !== null && <Problem error={error} />}
      <Stopped at={stoppedAt} />
      {sending ? (
        <Sent sending={sending} onStop={stop} />
      ) : (
        <button type="submit" className="button primary" disabled={files.length === 0 || !architecture || wrong !== "" || unreadable(seen) !== ""}>
          Register teacher
        </button>
      )}
    </form>
  );
}

export function DatasetUpload({ onDone }: { onDone: (made: Dataset) => void }) {
  const [whole, setWhole] = useState<File[]>([]);
  const [test, setTest] = useState<File[]>([]);
  const [split, setSplit] = useState(false);
  const [beside, setBeside] = useState(false);
  const [unlabelled, setUnlabelled] = useState<File[]>([]);
  const [task, setTask] = useState("");
  const [name, setName] = useState("");
  const [range, setRange] = useState<PixelRange | null>(null);
  const [format, setFormat] = useState("");
  const [classes, setClasses] = useState("");
  const [from, setFrom] = useState("");
  const tars = whole.length > 0 && whole.every((file) => file.name.endsWith(".tar"));
  const { sending, error, stoppedAt, send, stop } = useUpload<Dataset>("dataset", onDone);

  function submit(event: FormEvent): void {
    event.preventDefault();
    const [first] = whole;
    if (!first) return;
    const called = name || first.name.replace(/(\.(zip|tar|tgz|parquet|gz|csv|tsv|jsonl|ndjson|json))+$/, "");
    const roles: Role[] = [[split ? "train" : "upload", whole]];
    if (split) roles.push(["test", test]);
    if (beside) roles.push(["unlabelled", unlabelled]);
    void send(roles.flatMap(([, files]) => files), (ids) => {
      const body = { name: called, ...(task ? { task } : {}), ...(range ? { pixel_range: range } : {}), ...(format ? { box_format: format } : {}), ...(tars ? classesTold(classes, from) : {}), ...byRole(roles, ids) };
      return unwrap(api.POST("/datasets", { body: body as never })) as Promise<Dataset>;
    });
  }

  const accept = ".zip,.tar,.tgz,.tar.gz,.parquet,.csv,.tsv,.jsonl,.ndjson,.json,.gz";
  const tasks = useTasks();
  const hint = "an archive or a table; below stands which. Several tars or parquet files are the shards of one dataset";
  return (
    <form className="upload" onSubmit={submit}>
      <FileDrop label={split ? "Training part" : "Drop a dataset here, or choose its files"} hint={hint} accept={accept} files={whole} many onFiles={(given) => setWhole(inOrder(given))} />
      <label className="check">
        <input type="checkbox" checked={split} onChange={(event) => setSplit(event.target.checked)} /> I have a test part of my own
      </label>
      {split && <FileDrop label="Test part" hint={hint} accept={accept} files={test} many onFiles={(given) => setTest(inOrder(given))} />}
      <label className="check">
        <input type="checkbox" checked={beside} onChange={(event) => setBeside(event.target.checked)} /> I have more training pictures, without labels
      </label>
      {beside && <FileDrop label="Pictures without labels" hint={hint} accept={accept} files={unlabelled} many onFiles={(given) => setUnlabelled(inOrder(given))} />}
      <TaskFiles tasks={tasks} />
      <label className="field">
        <span>Task</span>
        <select value={task} onChange={(event) => setTask(event.target.value)}>
          <option value="">as the files tell</option>
          {tasks.map(({ name, title }) => (
            <option key={name} value={name}>
              {title}
            </option>
          ))}
        </select>
      </label>
      <PixelRangeField onRange={setRange} />
      <BoxFormatField tasks={tasks} task={task} value={format} onChange={setFormat} />
      {tars && <ShardClasses classes={classes} from={from} onClasses={setClasses} onFrom={setFrom} />}
      <label className="field">
        <span>Name</span>
        <input value={name} onChange={(event) => setName(event.target.value)} placeholder={whole[0]?.name ?? "our photographs"} maxLength={200} />
      </label>
      {error !== null && <Problem error={error} />}
      <Stopped at={stoppedAt} />
      {sending ? (
        <Sent sending={sending} onStop={stop} />
      ) : (
        <button type="submit" className="button primary" disabled={whole.length === 0 || (split && test.length === 0) || (beside && unlabelled.length === 0)}>
          Register dataset
        </button>
      )}
    </form>
  );
}

/** Which files make a dataset, by task. */
function TaskFiles({ tasks }: { tasks: Task[] }) {
  return (
    <details className="columns-help">
      <summary>Which files a dataset is made of</summary>
      <dl className="small">
        {tasks.map((task) => (
          <Fragment key={task.name}>
            <dt>{task.title}</dt>
            {task.files.map((sentence) => (
              <dd key={sentence}>
                <Prose text={sentence} />
              </dd>
            ))}
          </Fragment>
        ))}
      </dl>
    </details>
  );
}
