import type { ReactNode } from "react";

import { api, unwrap } from "../api/client";
import { DeleteButton } from "../components/DeleteButton";
import { ErrorNote } from "../components/ErrorNote";
import { Digest } from "../components/Inputs";
import { Card, Facts, Labels, Loading, Page, Wide } from "../components/Layout";
import { MoreButton } from "../components/MoreButton";
import { Problem } from "../components/Problem";
import { Readiness, Status } from "../components/Status";
import { useOlder } from "../hooks/useOlder";
import { usePoll } from "../hooks/usePoll";
import { bytes, clock, count, options, short, words } from "../lib/format";
import { title } from "../lib/jobs";
import { architectureOf, classWords, type LanguageFindings, type TeacherFindings, teacherFindings } from "../lib/report";
import { Link, navigate } from "../router";

const NAMED_CLASSES = 20;

export function Teacher({ id }: { id: string }) {
  const params = { params: { path: { teacher_id: id } } };
  const { data, problem, reload } = usePoll(`teacher ${id}`, () => unwrap(api.GET("/teachers/{teacher_id}", params)), 5000);
  if (!data) return <Page title="Teacher">{problem ? <Problem error={problem} onRetry={reload} /> : <Loading what="the teacher" />}</Page>;
  const found = teacherFindings(data.report);
  const remove = (): Promise<unknown> => unwrap(api.DELETE("/teachers/{teacher_id}", params).then((answer) => ({ ...answer, data: true })));
  return (
    <Page
      title={data.name || id}
      above={
        <p className="crumbs">
          <Link to="/teachers">Teachers</Link> <span aria-hidden="true">/</span> <code>{id}</code>
        </p>
      }
      actions={
        <>
          <Link className="button primary" to={`/new?teacher=${id}`}>
            Distil it
          </Link>
          <DeleteButton what="teacher" name={data.name || id} remove={remove} onDone={() => navigate("/teachers")} />
        </>
      }
    >
      <div className="headline">
        <Readiness status={data.status} />
        {data.status === "inspecting" && <span className="muted">A worker checks every tensor.</span>}
        <Labels labels={data.labels} />
      </div>
      {data.error && <ErrorNote error={data.error} />}
      <Card title="What it is">
        <Facts
          facts={[
            ["Architecture", <code>{architectureOf(data)}</code>],
            ["Options", options(data.architecture.options)],
            ["Parameters", found?.parameters == null ? "" : count(found.parameters)],
            ["Operations", found?.flops == null ? "" : `${short(found.flops)}FLOP for one image of ${found.size} pixels`],
            ["Classes", classWords(found)],
            ...languageFacts(found?.language ?? null),
            ["Input channels", found?.channels],
            ["Tensors", found?.tensors],
            ["Stored as", found?.dtypes],
            ["Not loaded", found?.ignored.length ? found.ignored.join(", ") : ""],
            ["Size", bytes(data.size_bytes)],
            ["Sent as", data.source?.files.map((file) => `${file.filename}, ${bytes(file.size_bytes)}`).join("; ")],
            ["Fitted", found?.notes.join(" ")],
            ["Converted", data.source?.notes.join(" ")],
            ["Registered", clock(data.created_at)],
            ["sha256", <Digest value={data.sha256} of="the teacher" />],
          ]}
        />
        {found && found.metadata.length > 0 && (
          <details>
            <summary>What the file says of itself</summary>
            <Facts facts={found.metadata} />
          </details>
        )}
      </Card>
      {found && (found.layers.length > 0 || found.note) && <Layers found={found} />}
      <UsedBy id={id} />
    </Page>
  );
}

function languageFacts(found: LanguageFindings | null): [string, ReactNode][] {
  if (!found) return [];
  return [
    ["Class names", found.classNames.slice(0, NAMED_CLASSES).join(", ") + (found.classNames.length > NAMED_CLASSES ? ", …" : "")],
    ["Family", `${found.family}, ${found.generates ? "a decoder: answers instructions or classifies" : "an encoder: classifies"}`],
    ["Blocks", found.blocks],
    ["Width", found.width],
    ["Attention heads", found.heads],
    ["Vocabulary", `${count(found.vocabulary)} tokens`],
    ["Longest text", `${count(found.maxLength)} tokens`],
  ];
}

/** What scoring will go through, in depth order. */
function Layers({ found }: { found: TeacherFindings }) {
  return (
    <Card title="Layers" aside={<span className="muted">{found.layers.length} that can be distilled</span>}>
      {found.note && <p className="muted">{found.note}</p>}
      {found.layers.length > 0 && (
        <Wide label="Layers" className="layers">
          <table className="plain">
            <thead>
              <tr>
                <th scope="col">Depth</th>
                <th scope="col">Layer</th>
                <th scope="col">Kind</th>
                <th scope="col">Feature of one image</th>
              </tr>
            </thead>
            <tbody>
              {found.layers.map((layer) => (
                <tr key={layer.name}>
                  <td className="nowrap">
                    <span className="depth" aria-hidden="true">
                      <span style={{ width: `${100 * layer.depth}%` }} />
                    </span>
                    {layer.depth.toFixed(2)}
                  </td>
                  <th scope="row">
                    <code>{layer.name}</code>
                  </th>
                  <td>{layer.kind}</td>
                  <td className="nowrap">{layer.shape}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Wide>
      )}
    </Card>
  );
}

const jobsFrom = (cursor?: string) => unwrap(api.GET("/jobs", { params: { query: { limit: 200, cursor } } }));

/** The API cannot ask for the jobs of one teacher: they are looked for among the newest, and further back when asked. */
function UsedBy({ id }: { id: string }) {
  const { data, problem, reload } = usePoll("jobs by teacher", () => jobsFrom());
  const all = useOlder(data, jobsFrom);
  const jobs = all.items.filter((job) => job.teacher === id);
  if (problem && !data)
    return (
      <Card title="Distilled in">
        <Problem error={problem} onRetry={reload} />
      </Card>
    );
  if (jobs.length === 0 && !all.more) return null;
  return (
    <Card title="Distilled in">
      {jobs.length === 0 && <p className="muted">In none of the newest jobs.</p>}
      <ul className="known">
        {jobs.map((job) => (
          <li key={job.id}>
            <Status status={job.status} />
            <Link to={`/jobs/${job.id}`}>{title(job)}</Link>
            <span className="muted small">{words(job.recipe)}</span>
          </li>
        ))}
      </ul>
      <MoreButton list={all} what="jobs" lead="Looked for among the newest" />
    </Card>
  );
}
