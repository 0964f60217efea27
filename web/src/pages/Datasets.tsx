import { useState } from "react";

import { api, unwrap } from "../api/client";
import type { Dataset } from "../api/types";
import { AddDataset } from "../components/AddDataset";
import { Icon } from "../components/Icon";
import { Card, Labels, Loading, Page } from "../components/Layout";
import { Problem } from "../components/Problem";
import { Readiness } from "../components/Status";
import { useTry } from "../components/Toasts";
import { Updated } from "../components/Updated";
import { useNow } from "../hooks/useNow";
import { usePoll } from "../hooks/usePoll";
import { ago, bytes, clock, count, MISSING } from "../lib/format";
import { datasetFindings } from "../lib/report";
import { Link, navigate } from "../router";

export function Datasets() {
  const [uploading, setUploading] = useState(false);
  const { data, problem, updatedAt, reload } = usePoll("datasets", () => unwrap(api.GET("/datasets", { params: { query: { limit: 200 } } })), 5000);
  return (
    <Page
      title="Datasets"
      actions={
        <>
          <Updated at={updatedAt} failing={problem !== null} />
          <button type="button" className="button" aria-expanded={uploading} onClick={() => setUploading(!uploading)}>
            <Icon name="upload" size={16} /> Add
          </button>
        </>
      }
    >
      {uploading && (
        <Card title="Add a dataset">
          <AddDataset onDone={(made) => navigate(`/datasets/${made.id}`)} />
        </Card>
      )}
      {problem && !data && <Problem error={problem} onRetry={reload} />}
      {!data && !problem && <Loading what="datasets" />}
      {data && <List datasets={data.items} />}
      {data && <Known registered={data.items} onRegistered={reload} />}
    </Page>
  );
}

function List({ datasets }: { datasets: Dataset[] }) {
  const now = useNow();
  if (datasets.length === 0) return <p className="none card">No dataset is registered yet. Upload one, or use one that the service knows by name.</p>;
  return (
    <Card className="flush">
      <table className="jobs">
        <thead>
          <tr>
            {["Dataset", "Status", "Classes", "Images", "Size", "Registered"].map((head) => (
              <th key={head} scope="col">
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {datasets.map((dataset) => {
            const found = datasetFindings(dataset.report);
            const images = found?.counts.reduce((sum, { counts }) => sum + counts.reduce((a, b) => a + b, 0), 0);
            return (
              <tr key={dataset.id}>
                <td className="job-name">
                  <Link to={`/datasets/${dataset.id}`}>{dataset.name || dataset.id}</Link>
                  <span className="muted small">{dataset.kind}</span>
                  <Labels labels={dataset.labels} />
                </td>
                <td data-title="Status">
                  <Readiness status={dataset.status} />
                </td>
                <td data-title="Classes">{found?.classes.length || MISSING}</td>
                <td data-title="Images">{count(images)}</td>
                <td data-title="Size">{dataset.size_bytes ? bytes(dataset.size_bytes) : "bundled"}</td>
                <td data-title="Registered" className="muted small nowrap" title={clock(dataset.created_at)}>
                  {ago(dataset.created_at, now)}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </Card>
  );
}

function Known({ registered, onRegistered }: { registered: Dataset[]; onRegistered: () => void }) {
  const { data } = usePoll("named datasets", () => unwrap(api.GET("/catalogue/datasets")));
  const attempt = useTry();
  const [busy, setBusy] = useState("");
  const have = new Set(registered.filter((each) => each.kind === "named").map((each) => each.name));
  const left = data?.items.filter((each) => !have.has(each.name)) ?? [];
  if (left.length === 0) return null;

  async function register(named: string): Promise<void> {
    setBusy(named);
    await attempt(() => unwrap(api.POST("/datasets", { body: { named } as never })));
    setBusy("");
    onRegistered();
  }

  return (
    <Card title="Known by name">
      <p className="muted">These need no upload: a job can name them, or register one here to see what is in it.</p>
      <ul className="known">
        {left.map((each) => (
          <li key={each.name}>
            <span className="grow">
              <b>{each.name}</b>
              {typeof each.summary === "string" && <span className="muted small"> {each.summary}</span>}
            </span>
            <button type="button" className="button small" disabled={busy !== ""} onClick={() => void register(each.name)}>
              {busy === each.name ? "Inspecting…" : "Register"}
            </button>
          </li>
        ))}
      </ul>
    </Card>
  );
}
