import { api, unwrap } from "../api/client";
import type { Dataset as DatasetData, Task } from "../api/types";
import { BoxCard } from "../components/BoxCard";
import { DeleteButton } from "../components/DeleteButton";
import { ErrorNote } from "../components/ErrorNote";
import { Digest } from "../components/Inputs";
import { Card, Facts, Labels, Loading, Page } from "../components/Layout";
import { Problem } from "../components/Problem";
import { Readiness } from "../components/Status";
import { TextCards, Twins } from "../components/TextCards";
import { Tiles } from "../components/Tiles";
import { useTry } from "../components/Toasts";
import { Warnings } from "../components/Warnings";
import { useAlone } from "../hooks/useAlone";
import { usePicture } from "../hooks/usePicture";
import { usePoll } from "../hooks/usePoll";
import { useTasks } from "../hooks/useTasks";
import { bytes, clock, count, percent } from "../lib/format";
import { preliminary, progress } from "../lib/reading";
import { type DatasetFindings, datasetFindings, total } from "../lib/report";
import { capital, named, sampleOf, samplesOf } from "../lib/tasks";
import { Link, navigate } from "../router";

export function Dataset({ id }: { id: string }) {
  const tasks = useTasks();
  const attempt = useTry();
  const alone = useAlone();
  const params = { params: { path: { dataset_id: id } } };
  const { data, problem, reload } = usePoll(`dataset ${id}`, () => unwrap(api.GET("/datasets/{dataset_id}", params)), 5000);
  if (!data) return <Page title="Dataset">{problem ? <Problem error={problem} onRetry={reload} /> : <Loading what="the dataset" />}</Page>;
  const found = datasetFindings(data.report);
  const task = named(tasks, data.task);
  const samples = samplesOf(task);
  const readOn = (): Promise<unknown> => unwrap(api.POST("/datasets/{dataset_id}/inspect", params)).then(reload);
  const remove = (): Promise<unknown> => unwrap(api.DELETE("/datasets/{dataset_id}", params).then((answer) => ({ ...answer, data: true })));
  return (
    <Page
      title={data.name || id}
      above={
        <p className="crumbs">
          <Link to="/datasets">Datasets</Link> <span aria-hidden="true">/</span> <code>{id}</code>
        </p>
      }
      actions={
        <>
          <Link className="button primary" to={`/new?dataset=${id}`}>
            Use it in a job
          </Link>
          <DeleteButton what="dataset" name={data.name || id} remove={remove} onDone={() => navigate("/datasets")} />
        </>
      }
    >
      <div className="headline">
        <Readiness status={data.status} />
        {(data.status === "sampled" || (data.status === "invalid" && data.error?.fault === "system")) && (
          <button type="button" className="button" onClick={() => void alone(() => attempt(readOn))}>
            Read all of it
          </button>
        )}
        {data.status === "inspecting" && <span className="muted">{progress(data.reading)}</span>}
        <Labels labels={data.labels} />
      </div>
      {data.sample && <p className="muted">{preliminary(data.sample)}</p>}
      {data.error && <ErrorNote error={data.error} />}
      {found && <Warnings job={found} />}
      {found && <Twins found={found} samples={samples} />}
      <Overview dataset={data} found={found} task={task} />
      {found && found.classes.length > 0 && <Classes found={found} task={task} sheet={data.thumbnails} />}
      {found?.boxes && <BoxCard boxes={found.boxes} />}
      {found?.text && <TextCards text={found.text} />}
      {found && <Concerns found={found} />}
    </Page>
  );
}

function Overview({ dataset, found, task }: { dataset: DatasetData; found: DatasetFindings | null; task?: Task }) {
  return (
    <Card title="What it is">
      <Facts
        facts={[
          ["Task", task?.title ?? dataset.task],
          ...(dataset.box_format ? [["Boxes", dataset.box_format.replace("_", ", ")] as [string, string]] : []),
          ...(dataset.pixel_range ? [["16-bit values", `${dataset.pixel_range[0]} to ${dataset.pixel_range[1]} are black to white`] as [string, string]] : []),
          ["Kind", found?.text ? `${dataset.kind} of ${found.text.form}` : dataset.kind],
          ["Classes", found ? found.classes.length || "none: no Q curve, layers are paired evenly" : ""],
          ...(found?.counts ?? []).map(({ split, counts }): [string, string] => [`${split} ${samplesOf(task)}`, count(total(counts))]),
          ["Image size", found?.sizes],
          ["Colour", found?.modes],
          ["Size", dataset.size_bytes ? bytes(dataset.size_bytes) : ""],
          ["Registered", clock(dataset.created_at)],
          ["Digest", dataset.digest ? <Digest value={dataset.digest} of="the dataset" /> : ""],
          ...(dataset.shards ? shardFacts(dataset.shards) : []),
          ...Object.entries(dataset.files).map(([role, file]): [string, string] => [`File (${role})`, fileWords(file)]),
        ]}
      />
    </Card>
  );
}

/** Where a streamed dataset lies, and once it was read how much that is. */
function shardFacts({ given, count: found, size_bytes }: NonNullable<DatasetData["shards"]>): [string, string][] {
  const size: [string, string][] = found != null && size_bytes != null ? [["Shards", `${count(found)}, ${bytes(size_bytes)}, read where they lie`]] : [];
  return [...size, ...Object.entries(given).map(([role, named]): [string, string] => [`Shards (${role})`, named.length > 3 ? `${named.slice(0, 3).join(", ")} and ${count(named.length - 3)} more` : named.join(", ")])];
}

/** A file that was named by URL has no size until a worker has fetched it. */
function fileWords(file: Record<string, unknown>): string {
  const size = typeof file.size_bytes === "number" ? bytes(file.size_bytes) : "not fetched yet";
  return [String(file.filename ?? ""), size, ...(file.url ? [`from ${String(file.url)}`] : [])].filter(Boolean).join(", ");
}

const DRAWN = 200;

function Classes({ found, task, sheet }: { found: DatasetFindings; task?: Task; sheet: DatasetData["thumbnails"] }) {
  const picture = usePicture(sheet?.href ?? null);
  const train = found.byClass.find(({ split }) => split === "train")?.counts ?? [];
  const amounts = found.boxes?.byClass ?? found.byClass;
  const most = Math.max(1, ...amounts.flatMap(({ counts }) => counts));
  return (
    <Card title={found.boxes ? "Boxes by class" : `${capital(samplesOf(task))} by class`} aside={amounts.map(({ split }, at) => <span key={split} className={`key series-${at}`}>{split}</span>)}>
      <table className="bars">
        <thead className="visually-hidden">
          <tr>
            <th scope="col">Class</th>
            {sheet && <th scope="col">Examples</th>}
            {amounts.map(({ split }) => (
              <th key={split} scope="col">
                {split}
              </th>
            ))}
            {found.shares.length > 0 && <th scope="col">share of labelled pixels</th>}
          </tr>
        </thead>
        <tbody>
          {found.classes.slice(0, DRAWN).map((name, at) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              {sheet && <td className="examples">{picture && <Tiles sheet={sheet} picture={picture} row={at} name={name} images={train[at] ?? 0} />}</td>}
              {amounts.map(({ split, counts }, which) => (
                <td key={split} className="amounts">
                  <span className={`amount series-${which}`} style={{ width: `${(72 * (counts[at] ?? 0)) / most}%` }} aria-hidden="true" />
                  {count(counts[at])}
                </td>
              ))}
              {found.shares.length > 0 && <td title="Share of the labelled training pixels">{percent(found.shares[at] ?? 0, 1)}</td>}
            </tr>
          ))}
        </tbody>
      </table>
      {found.labels.length > 0 && (
        <p className="muted small">
          Every {sampleOf(task)} counts in each of its classes. Labels of one: {found.labels.map(({ split, mean, most, none }) => `${split} ${mean.toFixed(2)} on average, at most ${most}; ${count(none)} have none`).join(", ")}.
        </p>
      )}
      {found.without.length > 0 && (
        <p className="muted small">Without a label: {found.without.map(({ split, images }) => `${count(images)} ${split} images`).join(", ")}.</p>
      )}
      {found.shares.length > 0 && (
        <p className="muted small">
          Every {sampleOf(task)} counts in each of its classes. The last column is a class&apos;s share of the labelled training pixels
          {found.unlabelled ? `; ${percent(found.unlabelled, 1)} of all have no class` : ""}.
        </p>
      )}
      {sheet && found.classes.length > sheet.rows && <p className="muted small">Examples of the first {sheet.rows} classes.</p>}
      {found.classes.length > DRAWN && <p className="muted small">The first {DRAWN} of {count(found.classes.length)} classes.</p>}
    </Card>
  );
}

function Concerns({ found }: { found: DatasetFindings }) {
  const lines = [
    ...(found.corrupt ? [`${count(found.corrupt)} images cannot be read and are left out.`] : []),
    ...found.notes.filter((note) => !(found.text && note.includes("are among the training texts"))), // said at the top
  ];
  if (lines.length === 0) return null;
  return (
    <Card title="Worth knowing">
      <ul>
        {lines.map((line) => (
          <li key={line}>{line}</li>
        ))}
      </ul>
      {found.corruptExamples.length > 0 && (
        <details>
          <summary>Images that cannot be read</summary>
          <ul>
            {found.corruptExamples.map(([name, reason]) => (
              <li key={name}>
                <code>{name}</code> {reason}
              </li>
            ))}
          </ul>
        </details>
      )}
    </Card>
  );
}
