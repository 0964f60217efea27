import { type FormEvent, useEffect, useRef, useState } from "react";

import { sizeOf } from "../api/answer";
import { asProblem, type ProblemError } from "../api/problem";
import type { Job, Prediction, PredictionItem, Task } from "../api/types";
import { useTasks } from "../hooks/useTasks";
import { figure, percent } from "../lib/format";
import { named } from "../lib/tasks";
import { ask } from "../live/asking";
import { AnswerView } from "./AnswerView";
import { FileDrop } from "./FileDrop";
import { Card } from "./Layout";
import { Problem } from "./Problem";

const MOST = 8;

/** A finished student on samples of one's own, its teacher beside it. */
export function TryIt({ job }: { job: Job }) {
  const task = named(useTasks(), job.task);
  return "predict" in job.links && task ? <Desk job={job} task={task} /> : null;
}

function Desk({ job, task }: { job: Job; task: Task }) {
  const [files, setFiles] = useState<File[]>([]);
  const [text, setText] = useState("");
  const [second, setSecond] = useState("");
  const [teacher, setTeacher] = useState(Boolean(job.teacher));
  const [busy, setBusy] = useState(false);
  const [written, setWritten] = useState<Record<string, string>>({});
  const [found, setFound] = useState<Prediction | null>(null);
  const [problem, setProblem] = useState<ProblemError | null>(null);
  const stop = useRef<AbortController | null>(null);
  const pictures = usePictures(files);
  useEffect(() => () => stop.current?.abort(), []);

  async function put(given: File[]): Promise<void> {
    stop.current?.abort();
    const mine = (stop.current = new AbortController());
    setBusy(true);
    setProblem(null);
    setFound(null);
    setWritten({});
    const inputs = second.trim() ? [text, second] : text;
    try {
      setFound(await ask(job.id, { teacher, files: given, text: inputs }, (network, part) => setWritten((old) => ({ ...old, [network]: (old[network] ?? "") + part })), mine.signal));
    } catch (error) {
      if (!mine.signal.aborted) setProblem(asProblem(error));
    }
    if (stop.current === mine) setBusy(false);
  }

  function submit(event: FormEvent): void {
    event.preventDefault();
    void put(files);
  }

  return (
    <Card title="Try it" aside={<span className="muted">the student on samples of your own{job.teacher ? ", its teacher beside it" : ""}</span>}>
      <form className="try" onSubmit={submit}>
        {task.modality === "images" ? (
          <FileDrop
            label="Drop a picture, or choose one"
            hint={`up to ${MOST} at once, 10 MiB each; none is kept`}
            accept="image/*"
            many
            files={files}
            onFiles={(given) => {
              setFiles(given.slice(0, MOST));
              void put(given.slice(0, MOST));
            }}
          />
        ) : (
          <>
            <label className="field">
              <span>{task.writes ? "Instruction" : "Text"}</span>
              <textarea rows={3} value={text} onChange={(event) => setText(event.target.value)} />
            </label>
            <details>
              <summary className="small">A second text</summary>
              <label className="field">
                <span>{task.writes ? "The instruction's input" : "The pair's other text"}</span>
                <textarea rows={2} value={second} onChange={(event) => setSecond(event.target.value)} />
              </label>
            </details>
          </>
        )}
        <div className="row wrap">
          {job.teacher && (
            <label className="row">
              <input type="checkbox" checked={teacher} onChange={(event) => setTeacher(event.target.checked)} /> ask the teacher too
            </label>
          )}
          <button type="submit" className="button" disabled={busy || (task.modality === "images" ? files.length === 0 : !text.trim())}>
            {busy ? "Asking …" : "Ask"}
          </button>
          <span role="status" className="muted small">
            {busy ? "The first time takes some seconds: the student is loaded." : found ? told(found) : ""}
          </span>
        </div>
      </form>
      {problem && <Problem error={problem} />}
      {busy && Object.entries(written).length > 0 && (
        <div className="panes">
          {Object.entries(written).map(([network, part]) => (
            <section key={network} aria-label={called(network)}>
              <h3>{called(network)}</h3>
              <p className="written">{part}</p>
            </section>
          ))}
        </div>
      )}
      {found?.items.map((item, at) => <Item key={at} item={item} picture={pictures[at] ?? null} name={files[at]?.name ?? ""} found={found} />)}
      {found?.unable.map(({ network, reason }) => (
        <p key={network} className="muted" role="note">
          {called(network)} gives no answer: {reason}.
        </p>
      ))}
    </Card>
  );
}

function Item({ item, picture, name, found }: { item: PredictionItem; picture: string | null; name: string; found: Prediction }) {
  const size = sizeOf(item.student);
  const ms = (network: string): string => {
    const took = found.networks.find((each) => each.network === network);
    return took ? `${figure(took.milliseconds / found.items.length, 3)} ms` : "";
  };
  return (
    <article className="tried" aria-label={name || "Answer"}>
      {picture && !size && <img src={picture} alt={name} className="asked" />}
      <div className="panes">
        <section aria-label="Student">
          <h3>
            Student <span className="muted small">{ms("student")}</span>
          </h3>
          <AnswerView answer={item.student} picture={picture} size={size} label={`${name}: student`} />
        </section>
        {item.teachers.map(({ network, answer, agreement }) => (
          <section key={network} aria-label={called(network)}>
            <h3>
              {called(network)} <span className="muted small">{ms(network)}</span>
            </h3>
            <AnswerView answer={answer} picture={picture} size={sizeOf(answer)} label={`${name}: ${called(network)}`} />
            <p className={agreement < 0.5 ? "error small" : "small"}>Agreement {percent(agreement, 0)}</p>
          </section>
        ))}
      </div>
    </article>
  );
}

/** "teacher_2" as "Teacher 2". */
const called = (network: string): string => (network.charAt(0).toUpperCase() + network.slice(1)).replace("_", " ");
const told = ({ milliseconds, warm }: Prediction): string => `${milliseconds < 1000 ? `${figure(milliseconds, 3)} ms` : `${figure(milliseconds / 1000, 3)} s`} in all${warm ? "" : ", most of it to load the student"}`;

/** URLs of the files, for as long as they are shown. */
function usePictures(files: File[]): string[] {
  const [urls, setUrls] = useState<string[]>([]);
  useEffect(() => {
    const made = files.map((file) => URL.createObjectURL(file));
    setUrls(made);
    return () => made.forEach((url) => URL.revokeObjectURL(url));
  }, [files]);
  return urls;
}
