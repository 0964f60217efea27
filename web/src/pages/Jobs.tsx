import { useMemo, useState } from "react";

import { api, unwrap } from "../api/client";
import { type Job, type Status as StatusName } from "../api/types";
import { Icon } from "../components/Icon";
import { JobRow } from "../components/JobRow";
import { Card, Loading, Page } from "../components/Layout";
import { Problem } from "../components/Problem";
import { Updated } from "../components/Updated";
import { Welcome } from "../components/Welcome";
import { useCurves } from "../hooks/useCurves";
import { useLayered } from "../hooks/useLayered";
import { useNames } from "../hooks/useNames";
import { useNow } from "../hooks/useNow";
import { usePoll } from "../hooks/usePoll";
import { matches } from "../lib/jobs";
import { navigate, usePlace } from "../router";

const FILTERS: { id: string; name: string; statuses: StatusName[] }[] = [
  { id: "", name: "All", statuses: [] },
  { id: "active", name: "Active", statuses: ["queued", "running", "pausing", "paused", "stopping", "cancelling"] },
  { id: "succeeded", name: "Succeeded", statuses: ["succeeded"] },
  { id: "failed", name: "Failed", statuses: ["failed"] },
  { id: "cancelled", name: "Cancelled", statuses: ["cancelled"] },
];
const PAGE = 50;

async function load(statuses: StatusName[], recipe: string, wanted: number): Promise<{ items: Job[]; more: boolean }> {
  const items: Job[] = [];
  let cursor: string | undefined;
  do {
    const query = { limit: PAGE, cursor, status: statuses.length ? statuses : undefined, recipe: recipe || undefined };
    const page = await unwrap(api.GET("/jobs", { params: { query } }));
    items.push(...page.items);
    cursor = page.next_cursor ?? undefined;
  } while (cursor && items.length < wanted);
  return { items, more: cursor !== undefined };
}

export function Jobs() {
  const { query } = usePlace();
  const filter = FILTERS.find(({ id }) => id === query.get("show")) ?? FILTERS[0];
  const recipe = query.get("recipe") ?? "";
  const search = query.get("q") ?? "";
  const [wanted, setWanted] = useState(PAGE);
  const [picked, setPicked] = useState<string[]>([]);
  const now = useNow();
  const names = useNames();
  const layered = useLayered();
  const { data, problem, updatedAt, reload } = usePoll(`jobs ${filter?.id} ${recipe} ${wanted}`, () => load(filter?.statuses ?? [], recipe, wanted), 3000);
  const shown = useMemo(() => (data?.items ?? []).filter((job) => matches(job, search, names)), [data, search, names]);
  const curves = useCurves(useMemo(() => shown.filter((job) => layered?.get(job.recipe) ?? false), [shown, layered]));

  function set(name: string, value: string): void {
    const next = new URLSearchParams(query);
    if (value) next.set(name, value);
    else next.delete(name);
    navigate(`/${next.size ? `?${next}` : ""}`, { replace: true });
  }

  const empty = data?.items.length === 0 && !filter?.id && !recipe;
  const toggle = (id: string): void => setPicked((old) => (old.includes(id) ? old.filter((each) => each !== id) : [...old, id]));

  return (
    <Page title="Jobs" actions={data && !empty && <Updated at={updatedAt} failing={problem !== null} />}>
      {problem && !data && <Problem error={problem} onRetry={reload} />}
      {!data && !problem && <Loading what="jobs" />}
      {empty && <Welcome />}
      {data && !empty && (
        <>
          <div className="toolbar">
            <div className="segments" role="group" aria-label="Show">
              {FILTERS.map(({ id, name }) => (
                <button key={id} type="button" aria-pressed={id === filter?.id} onClick={() => set("show", id)}>
                  {name}
                </button>
              ))}
            </div>
            <select aria-label="Recipe" value={recipe} onChange={(event) => set("recipe", event.target.value)}>
              <option value="">Every recipe</option>
              {[...(layered?.keys() ?? [])].map((name) => <option key={name}>{name}</option>)}
            </select>
            <label className="search grow">
              <Icon name="search" size={16} />
              <span className="visually-hidden">Search jobs</span>
              <input data-search="" type="search" placeholder="Name, label, student, teacher, id" value={search} onChange={(event) => set("q", event.target.value)} />
            </label>
          </div>
          <Selection picked={picked} clear={() => setPicked([])} />
          <Card className="flush">
            <table className="jobs">
              <thead>
                <tr>
                  <th scope="col">
                    <span className="visually-hidden">Select</span>
                  </th>
                  <th scope="col">Job</th>
                  <th scope="col">Status</th>
                  <th scope="col">Progress</th>
                  <th scope="col">Q curve</th>
                  <th scope="col">Result</th>
                  <th scope="col">Created</th>
                  <th scope="col">
                    <span className="visually-hidden">Actions</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {shown.map((job) => (
                  <JobRow key={job.id} job={job} curve={curves.get(job.id)} names={names} now={now} picked={picked.includes(job.id)} onPick={() => toggle(job.id)} onChange={reload} />
                ))}
              </tbody>
            </table>
            {shown.length === 0 && <p className="none">No job matches.{data.more && search ? " Only the newest were searched." : ""}</p>}
          </Card>
          {data.more && (
            <button type="button" className="button" onClick={() => setWanted((n) => n + 2 * PAGE)}>
              {search ? "Search older jobs too" : "Show older jobs"}
            </button>
          )}
        </>
      )}
    </Page>
  );
}

function Selection({ picked, clear }: { picked: string[]; clear: () => void }) {
  if (picked.length === 0) return null;
  return (
    <div className="selection" role="region" aria-label="Selected jobs">
      <span>
        {picked.length} selected{picked.length < 2 ? ": pick another to compare" : ""}
      </span>
      <button type="button" className="button small primary" disabled={picked.length < 2} onClick={() => navigate(`/compare?jobs=${picked.join(",")}`)}>
        Compare
      </button>
      <button type="button" className="button small ghost" onClick={clear}>
        Clear
      </button>
    </div>
  );
}
