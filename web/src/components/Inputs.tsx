import { api, unwrap } from "../api/client";
import type { Job } from "../api/types";
import { usePoll } from "../hooks/usePoll";
import { bytes, clock, options } from "../lib/format";
import { Link } from "../router";
import { Copy } from "./Copy";
import { Facts } from "./Layout";
import { Problem } from "./Problem";

async function load(job: Job) {
  const ids = job.teachers ?? (job.teacher ? [job.teacher] : []);
  const teachers = Promise.all(ids.map((id) => unwrap(api.GET("/teachers/{teacher_id}", { params: { path: { teacher_id: id } } }))));
  const dataset = unwrap(api.GET("/datasets/{dataset_id}", { params: { path: { dataset_id: job.dataset } } }));
  return { teachers: await teachers, dataset: await dataset };
}

/** What went in, by digest: enough to say whether two jobs saw the same. */
export function Inputs({ job, names }: { job: Job; names: Map<string, string> }) {
  const { data, problem, reload } = usePoll(`inputs ${job.id}`, () => load(job));
  if (problem && !data) return <Problem error={problem} onRetry={reload} />;
  return (
    <div className="columns">
      <section>
        <h3>{(data?.teachers.length ?? 0) > 1 ? "Teachers" : "Teacher"}</h3>
        {job.teacher === null && <p className="muted">None: this recipe trains the student alone.</p>}
        {data?.teachers.map((teacher) => (
          <Facts
            key={teacher.id}
            facts={[
              ["Name", <Link to={`/teachers/${teacher.id}`}>{teacher.name || teacher.id}</Link>],
              ["Architecture", <code>{teacher.architecture.name}</code>],
              ["Options", options(teacher.architecture.options)],
              ["Size", bytes(teacher.size_bytes)],
              ["sha256", <Digest value={teacher.sha256} of="the teacher" />],
            ]}
          />
        ))}
      </section>
      <section>
        <h3>Dataset</h3>
        {data && (
          <Facts
            facts={[
              ["Name", <Link to={`/datasets/${data.dataset.id}`}>{data.dataset.name || names.get(job.dataset)}</Link>],
              ["Kind", data.dataset.kind],
              ["Size", data.dataset.size_bytes ? bytes(data.dataset.size_bytes) : ""],
              ["Digest", data.dataset.digest ? <Digest value={data.dataset.digest} of="the dataset" /> : ""],
            ]}
          />
        )}
      </section>
      <section>
        <h3>Job</h3>
        <Facts
          facts={[
            ["Student", <code>{job.student.name}</code>],
            ["Options", options(job.student.options)],
            ["Compared with", job.compare_with ? <Link to={`/jobs/${job.compare_with}`}>{job.compare_with}</Link> : ""],
            ["Judged by", job.probe ? <Link to={`/datasets/${job.probe}`}>{job.probe}</Link> : ""],
            ["Priority", job.priority || ""],
            ["Processes", resources(job.resources)],
            ["Created", clock(job.created_at)],
            ["Started", job.started_at ? clock(job.started_at) : ""],
            ["Finished", job.finished_at ? clock(job.finished_at) : ""],
          ]}
        />
      </section>
    </div>
  );
}

/** Of a job that more than one process trains. */
function resources(asked: Job["resources"]): string {
  const { processes = 1, hosts = 1, sharding = "none" } = asked ?? {};
  return processes === 1 ? "" : `${processes}${hosts > 1 ? ` on ${hosts} hosts` : ""}${sharding === "full" ? ", a share of the networks each" : ""}`;
}

export function Digest({ value, of }: { value: string; of: string }) {
  return (
    <span className="digest">
      <code>{value}</code>
      <Copy text={value} what={`the digest of ${of}`} />
    </span>
  );
}
