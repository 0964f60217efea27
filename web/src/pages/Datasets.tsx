import { useState } from "react";

import { api, unwrap } from "../api/client";
import type { Dataset, Task } from "../api/types";
import { AddDataset } from "../components/AddDataset";
import { Card } from "../components/Layout";
import { Problem } from "../components/Problem";
import { Registry } from "../components/Registry";
import { useTry } from "../components/Toasts";
import { usePoll } from "../hooks/usePoll";
import { useTasks } from "../hooks/useTasks";
import { bytes, count, MISSING } from "../lib/format";
import { datasetFindings, total } from "../lib/report";
import { named, samplesOf } from "../lib/tasks";

export function Datasets() {
  const tasks = useTasks();
  return (
    <Registry<Dataset>
      title="Datasets"
      load={() => unwrap(api.GET("/datasets", { params: { query: { limit: 200 } } }))}
      add={{ button: "Add", title: "Add a dataset", form: (onDone) => <AddDataset onDone={onDone} /> }}
      empty="No dataset is registered yet. Upload one, or use one that the service knows by name."
      about={(dataset) => named(tasks, dataset.task)?.title ?? dataset.kind}
      columns={[
        ["Classes", (dataset) => datasetFindings(dataset.report)?.classes.length || MISSING],
        ["Samples", (dataset) => samples(tasks, dataset)],
        ["Size", (dataset) => (dataset.size_bytes ? bytes(dataset.size_bytes) : "bundled")],
      ]}
      below={(registered, reload) => <Known registered={registered} onRegistered={reload} />}
    />
  );
}

function samples(tasks: Task[], dataset: Dataset): string {
  const found = datasetFindings(dataset.report);
  return found && found.counts.length > 0 ? `${count(total(found.counts.flatMap(({ counts }) => counts)))} ${samplesOf(named(tasks, dataset.task))}` : MISSING;
}

function Known({ registered, onRegistered }: { registered: Dataset[]; onRegistered: () => void }) {
  const { data, problem, reload } = usePoll("named datasets", () => unwrap(api.GET("/catalogue/datasets")));
  const attempt = useTry();
  const [busy, setBusy] = useState("");
  const have = new Set(registered.filter((each) => each.kind === "named").map((each) => each.name));
  const left = data?.items.filter((each) => !have.has(each.name)) ?? [];
  if (problem && !data)
    return (
      <Card title="Known by name">
        <Problem error={problem} onRetry={reload} />
      </Card>
    );
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
