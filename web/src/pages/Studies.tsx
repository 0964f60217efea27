import { api, unwrap } from "../api/client";
import { Card, Heads, Labels, Loading, Page } from "../components/Layout";
import { Problem } from "../components/Problem";
import { Status } from "../components/Status";
import { Updated } from "../components/Updated";
import { useNow } from "../hooks/useNow";
import { usePoll } from "../hooks/usePoll";
import { ago, words } from "../lib/format";
import { placeName, progress, studyTitle } from "../lib/studies";
import { Link } from "../router";

export function Studies() {
  const now = useNow();
  const { data, problem, updatedAt, reload } = usePoll("studies", () => unwrap(api.GET("/studies", { params: { query: { limit: 100 } } })), 4000);
  const empty = data?.items.length === 0;
  return (
    <Page title="Studies" actions={data && !empty && <Updated at={updatedAt} failing={problem !== null} />}>
      {problem && !data && <Problem error={problem} onRetry={reload} />}
      {!data && !problem && <Loading what="studies" />}
      {empty && (
        <Card>
          <p>A study varies one job and says which variation is better, by how much, and what is noise.</p>
          <p className="muted">
            Open <Link to="/">a job</Link> and choose “Vary…”.
          </p>
        </Card>
      )}
      {data && !empty && (
        <Card className="flush">
          <table>
            <Heads names={["Study", "Status", "Trials", "Varies", "Strategy", "Begun"]} />
            <tbody>
              {data.items.map((study) => (
                <tr key={study.id}>
                  <td>
                    <Link to={`/studies/${study.id}`}>{studyTitle(study)}</Link> <Labels labels={study.labels} />
                  </td>
                  <td>
                    <Status status={study.status} />
                  </td>
                  <td>{progress(study)}</td>
                  <td>{Object.keys(study.space).map(placeName).join(", ")}</td>
                  <td>{words(String(study.strategy.name))}</td>
                  <td>{ago(study.created_at, now)}</td>
                </tr>
              ))}
            </tbody>
          </table>
          {data.next_cursor && <p className="none">Only the newest are shown.</p>}
        </Card>
      )}
    </Page>
  );
}
