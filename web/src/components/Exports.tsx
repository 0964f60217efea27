import { type FormEvent, useState } from "react";

import { api, unwrap } from "../api/client";
import { type Exported, readExport } from "../api/exported";
import { type Export, isActive, type Job, type Metric, type Task } from "../api/types";
import { usePoll } from "../hooks/usePoll";
import { useTasks } from "../hooks/useTasks";
import { bytes, figure, MISSING, percent } from "../lib/format";
import { capital, named, shown } from "../lib/tasks";
import { Card, Wide } from "./Layout";
import { DownloadButton } from "./DownloadButton";
import { Problem } from "./Problem";
import { Status } from "./Status";
import { useSay, useTry } from "./Toasts";

const WAIT_MS = 3000;
const USUAL = "onnx"; // chosen first where the task has it

/** The student for other runtimes: what each file is worth beside torch, and a form that asks for another. */
export function Exports({ job }: { job: Job }) {
  const task = named(useTasks(), job.task);
  const offered = "exports" in job.links && job.status === "succeeded" && task?.exports !== false;
  return offered ? <Offered job={job} task={task} /> : null;
}

function Offered({ job, task }: { job: Job; task: Task | undefined }) {
  const [waiting, setWaiting] = useState(false);
  const { data, problem, reload } = usePoll(`exports ${job.id}`, () => unwrap(api.GET("/jobs/{job_id}/exports", { params: { path: { job_id: job.id } } })), waiting ? WAIT_MS : null);
  const going = data?.items.some(({ status }) => isActive(status)) ?? false;
  if (going !== waiting) setWaiting(going);
  const metric = task?.metrics[0];
  const threads = data?.items.map((each) => readExport(each)?.threads).find(Boolean);
  return (
    <Card title="Exports" aside={<span className="muted">the student for other runtimes</span>}>
      {problem && !data && <Problem error={problem} onRetry={reload} />}
      {data && data.items.length > 0 && (
        <>
          <Wide label="Exports">
            <table className="plain results">
              <thead>
                <tr>
                  {["Format", metric ? `Test ${metric.label}` : "Test figure", "Lost", "Agreement", "Size", "ms, batch 1", "ms, batch 32"].map((name) => (
                    <th key={name} scope="col">
                      {name}
                    </th>
                  ))}
                  <th scope="col">
                    <span className="visually-hidden">Files</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {data.items.map((each) => (
                  <Row key={each.id} made={each} metric={metric} />
                ))}
              </tbody>
            </table>
          </Wide>
          <p className="muted small">Each file was run by its own runtime on the test set. In brackets: torch.{threads ? ` Latency with ${threads} thread${threads === 1 ? "" : "s"}.` : ""}</p>
        </>
      )}
      <Ask job={job} task={task} onAsked={reload} />
    </Card>
  );
}

function Row({ made, metric }: { made: Export; metric: Metric | undefined }) {
  const found = readExport(made);
  const own = Object.entries(made.parameters).map(([name, value]) => `${name} ${String(value)}`);
  return (
    <tr>
      <th scope="row">
        <code>{made.format}</code>
        {own.length > 0 && <span className="muted small">{own.join(", ")}</span>}
        {made.exceeds_max_drop && (
          <span className="error small" role="note">
            loses more than the {lossOf(metric, made.max_drop ?? 0)} allowed
          </span>
        )}
      </th>
      {found ? (
        <Figures found={found} metric={metric} />
      ) : (
        <td colSpan={6}>
          <Status status={made.status} /> {made.error && <span className="error">{String(made.error.message)}</span>}
        </td>
      )}
      <td>
        <div className="row end">
          {made.files
            .filter(({ name }) => name.startsWith("student."))
            .map(({ name, href }) => (
              <DownloadButton key={name} path={href} name={name} />
            ))}
        </div>
      </td>
    </tr>
  );
}

function Figures({ found, metric }: { found: Exported; metric: Metric | undefined }) {
  return (
    <>
      <td>{metric && found.figure ? shown(metric, found.figure.value) : MISSING}</td>
      <td>{found.drop === null ? MISSING : lossOf(metric, Math.max(0, found.drop))}</td>
      <td>{found.agreement ? percent(found.agreement.value) : MISSING}</td>
      <td className="nowrap">{bytes(found.bytes)}</td>
      {found.ms.map((ms, at) => (
        <td key={at} className="nowrap">
          {ms === null ? MISSING : figure(ms, 3)} {found.torchMs[at] !== null && <span className="muted small">({figure(found.torchMs[at], 3)})</span>}
        </td>
      ))}
    </>
  );
}

/** Of a share in points, of another figure in per cent of torch's. */
function lossOf(metric: Metric | undefined, loss: number): string {
  return metric?.unit === "share" ? `${(100 * loss).toFixed(2)} points` : percent(loss);
}

/** A parameter that names tasks is left out for the others. */
const hasIt = (tasks: unknown, task: string | null | undefined): boolean => !Array.isArray(tasks) || tasks.includes(task);

function Ask({ job, task, onAsked }: { job: Job; task: Task | undefined; onAsked: () => void }) {
  const formats = usePoll("export formats", () => unwrap(api.GET("/catalogue/exports")));
  const items = (formats.data?.items ?? []).filter(({ name }) => task?.formats?.includes(name) ?? true);
  const [picked, setPicked] = useState("");
  const chosen = picked || (items.find(({ name }) => name === USUAL) ?? items[0])?.name || "";
  const [asked, setAsked] = useState<Record<string, boolean>>({});
  const [busy, setBusy] = useState(false);
  const attempt = useTry();
  const say = useSay();
  const format = items.find(({ name }) => name === chosen);
  const flags = Object.entries(format?.parameters ?? {}).filter(([, schema]) => schema.type === "boolean" && hasIt(schema["x-tasks"], job.task));

  async function ask(event: FormEvent): Promise<void> {
    event.preventDefault();
    setBusy(true);
    const wanted = flags.map(([name]) => name).filter((name) => asked[name]);
    const body = { format: chosen, parameters: Object.fromEntries(wanted.map((name) => [name, true])), max_drop: 0.01 };
    const made = await attempt(() => unwrap(api.POST("/jobs/{job_id}/exports", { params: { path: { job_id: job.id } }, body })));
    setBusy(false);
    if (made) say(`${capital(chosen)} is queued: the file is written, compared with torch and judged on the test set.`);
    onAsked();
  }

  return (
    <form className="row wrap" onSubmit={(event) => void ask(event)}>
      <select aria-label="Format" value={chosen} onChange={(event) => setPicked(event.target.value)}>
        {items.map(({ name }) => (
          <option key={name}>{name}</option>
        ))}
      </select>
      {flags.map(([name, schema]) => (
        <label key={name} className="row" title={String(schema.description ?? "")}>
          <input type="checkbox" checked={asked[name] ?? false} onChange={(event) => setAsked({ ...asked, [name]: event.target.checked })} /> {name.replaceAll("_", "-")}
        </label>
      ))}
      <button type="submit" className="button" disabled={busy || !chosen}>
        Export
      </button>
      {format && <span className="muted small">{format.summary}</span>}
    </form>
  );
}
