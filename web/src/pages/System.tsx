import { api, parsed, reach, unwrap } from "../api/client";
import { fromAnswer } from "../api/problem";
import type { Ready, Status as StatusName, System as SystemData } from "../api/types";
import { Isolation } from "../components/Isolation";
import { Keys } from "../components/Keys";
import { Card, Facts, Loading, Page, Wide } from "../components/Layout";
import { Problem } from "../components/Problem";
import { Status } from "../components/Status";
import { Storage } from "../components/Storage";
import { Updated } from "../components/Updated";
import { Webhooks } from "../components/Webhooks";
import { useNow } from "../hooks/useNow";
import { usePoll } from "../hooks/usePoll";
import { ago, between, bytes, duration } from "../lib/format";

/** /readyz answers 503 with the same body when something is missing: that too is an answer. */
async function readiness(): Promise<Ready> {
  const response = await reach("/readyz");
  const body = parsed(await response.text());
  if (typeof body !== "object" || body === null || !("database" in body)) throw fromAnswer(response.status, body, "/readyz");
  return body as Ready;
}

export function System() {
  const { data, problem, updatedAt, reload } = usePoll("system", () => unwrap(api.GET("/system")), 4000);
  const ready = usePoll("ready", readiness, 8000);
  return (
    <Page title="System" actions={<Updated at={updatedAt} failing={problem !== null} />}>
      {problem && !data && <Problem error={problem} onRetry={reload} />}
      {!data && !problem && <Loading what="the system's state" />}
      {data && (
        <>
          <div className="cards3 four">
            <Card title="Service">
              <Facts
                facts={[
                  ["Version", data.version],
                  ["Mode", data.mode === "embedded" ? "embedded: one process, nothing to install" : "full: several services"],
                  ["Largest upload", bytes(data.max_upload_bytes)],
                  ["Datasets by URL", data.dataset_references.length ? data.dataset_references.map((each) => `${each}://`).join(", ") : "not allowed"],
                  [
                    "API",
                    <>
                      <a href="/docs">try it</a>, <a href="/openapi.json">OpenAPI document</a>
                    </>,
                  ],
                ]}
              />
            </Card>
            <Card title="Parts">
              {ready.data ? <Parts ready={ready.data} /> : ready.problem ? <Problem error={ready.problem} onRetry={ready.reload} /> : <Loading what="their state" />}
            </Card>
            <Card title="Queue">
              <Queue system={data} />
            </Card>
            <Card title="Storage">
              <Storage storage={data.storage} />
            </Card>
          </div>
          <Workers system={data} />
          <Webhooks />
          <Keys />
        </>
      )}
    </Page>
  );
}

const PARTS: [keyof Ready, string, string][] = [
  ["database", "Database", "the record of everything"],
  ["objects", "Object store", "teachers, datasets, students"],
  ["doorbell", "Doorbell", "wakes workers; without it work starts at the next sweep"],
];

function Parts({ ready }: { ready: Ready }) {
  return (
    <ul className="parts">
      {PARTS.map(([name, title, note]) => {
        const ok = ready[name] === "ok";
        return (
          <li key={name}>
            <span className={`status tone-${ok ? "good" : "bad"}`}>
              <span aria-hidden="true" className="status-mark">
                {ok ? "✓" : "✕"}
              </span>
              {ready[name]}
            </span>
            <span>
              <b>{title}</b> <span className="muted small">{note}</span>
            </span>
          </li>
        );
      })}
    </ul>
  );
}

function Queue({ system }: { system: SystemData }) {
  const counts = Object.entries(system.jobs) as [StatusName, number][];
  return (
    <>
      <p className="big-number">
        {system.queue_length} <span className="muted">waiting</span>
      </p>
      <ul className="parts">
        {counts.map(([status, n]) => (
          <li key={status}>
            <Status status={status} /> <b>{n}</b>
          </li>
        ))}
      </ul>
    </>
  );
}

function Workers({ system }: { system: SystemData }) {
  const now = useNow();
  if (system.workers.length === 0) {
    return (
      <Card title="Workers">
        <p className="none">
          No worker was heard of lately: jobs wait. <code>retort serve</code> has one inside; in full mode start the worker service.
        </p>
      </Card>
    );
  }
  const slots = system.workers.reduce((sum, worker) => sum + worker.slots, 0);
  return (
    <Card title="Workers" aside={<span className="muted">{slots === 1 ? "1 slot" : `${slots} slots`} in all</span>}>
      <Wide label="Workers">
        <table className="plain">
          <thead>
            <tr>
              <th scope="col">Machine</th>
              <th scope="col">Slots</th>
              <th scope="col">Up for</th>
              <th scope="col">Last heard</th>
              <th scope="col">Trainers held by</th>
              <th scope="col">About it</th>
            </tr>
          </thead>
          <tbody>
            {system.workers.map((worker) => (
              <tr key={worker.id}>
                <th scope="row">
                  {worker.hostname}
                  <code className="muted small">{worker.id}</code>
                </th>
                <td>{worker.slots}</td>
                <td className="nowrap">{duration(between(worker.started_at, now))}</td>
                <td className="nowrap">{ago(worker.heartbeat_at, now)}</td>
                <td>
                  <Isolation isolation={worker.isolation} />
                </td>
                <td>
                  <About info={worker.info} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </Wide>
    </Card>
  );
}

/** Whatever a worker tells of itself, flattened to names and values. */
function About({ info }: { info: Record<string, unknown> }) {
  const facts = flat(info);
  return (
    <span className="labels">
      {facts.map(([name, value]) => (
        <span key={name} className="label">
          {name}
          <b>{value}</b>
        </span>
      ))}
    </span>
  );
}

export function flat(value: Record<string, unknown>, prefix = ""): [string, string][] {
  return Object.entries(value).flatMap(([name, each]): [string, string][] => {
    const path = prefix ? `${prefix} ${name}` : name;
    if (each === null || each === undefined || each === "") return [];
    if (Array.isArray(each)) return each.length ? [[path, each.map((item) => (typeof item === "object" ? JSON.stringify(item) : String(item))).join(", ")]] : [];
    if (typeof each === "object") return flat(each as Record<string, unknown>, path);
    return [[path.replaceAll("_", " "), typeof each === "number" && name.endsWith("bytes") ? bytes(each) : String(each)]];
  });
}
