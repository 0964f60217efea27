import { api, unwrap } from "../api/client";
import { type Figures, readFigures } from "../api/figures";
import { opened } from "../api/files";
import type { Job } from "../api/types";
import { usePicture } from "../hooks/usePicture";
import { usePoll } from "../hooks/usePoll";
import { useTasks } from "../hooks/useTasks";
import { count, MISSING, percent } from "../lib/format";
import { capital, named, samplesOf } from "../lib/tasks";
import { DetectedCards } from "./DetectedCards";
import { Card, Wide } from "./Layout";

const REPORT = "report.json";
const EXAMPLES = "examples.webp";
const SHOWN = 200;

/** What a job's files tell of the test set beyond its result: figures by class, test samples with the answers of both networks, and what a detector's files tell. */
export function TestedCards({ job }: { job: Job }) {
  const artifacts = usePoll(`tested ${job.id}`, () => unwrap(api.GET("/jobs/{job_id}/artifacts", { params: { path: { job_id: job.id } } })));
  const hrefOf = (name: string): string | null => artifacts.data?.items.find((each) => each.name === name)?.href ?? null;
  return (
    <>
      <TestedCard job={job} report={hrefOf(REPORT)} examples={hrefOf(EXAMPLES)} />
      <DetectedCards hrefOf={hrefOf} />
    </>
  );
}

function TestedCard({ job, report, examples }: { job: Job; report: string | null; examples: string | null }) {
  const task = named(useTasks(), job.task);
  const figures = usePoll(`figures ${report ?? ""}`, () => opened(report, readFigures));
  const picture = usePicture(examples && `${examples}?redirect=false`);
  const found = figures.data;
  const byClass = task?.per_class && found && found.classes.length > 0;
  if (!byClass && !picture) return null;
  return (
    <Card title={byClass ? `${capital(task.per_class)} by class` : "Test samples"} aside={<span className="muted">on the untouched test set</span>}>
      {byClass && <ByClass figures={found} counted={task.counted ?? "n"} />}
      {picture && (
        <figure className="shown">
          <img src={picture} alt={`Test ${samplesOf(task)} with their labels and what the networks say`} />
          <figcaption className="muted small">Some test {samplesOf(task)}, as they are labelled and as the networks see them.</figcaption>
        </figure>
      )}
    </Card>
  );
}

function ByClass({ figures: { columns, classes }, counted }: { figures: Figures; counted: string }) {
  return (
    <>
      <Wide label="By class">
        <table className="plain results">
          <thead>
            <tr>
              <th scope="col">Class</th>
              <th scope="col">{capital(counted)}</th>
              {columns.map((title) => (
                <th key={title} scope="col" className={title === "Student" ? "mine" : undefined}>
                  {title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {classes.slice(0, SHOWN).map(({ name, n, values }) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td>{count(n)}</td>
                {values.map((value, at) => (
                  <td key={columns[at]} className={columns[at] === "Student" ? "mine" : undefined}>
                    {value === null ? MISSING : percent(value, 1)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </Wide>
      {classes.length > SHOWN && <p className="muted small">The first {SHOWN} of {count(classes.length)} classes; report.json has all.</p>}
    </>
  );
}
