import { type ReactNode, useState } from "react";

import { useNow } from "../hooks/useNow";
import { usePoll } from "../hooks/usePoll";
import { ago, clock } from "../lib/format";
import { Link, navigate } from "../router";
import { Icon } from "./Icon";
import { Card, Heads, Labels, Loading, Page } from "./Layout";
import { Problem } from "./Problem";
import { Readiness } from "./Status";
import { Updated } from "./Updated";

/** What teachers and datasets have in common. */
export interface Registered {
  id: string;
  name: string;
  status: "inspecting" | "ready" | "invalid" | "sampled";
  labels: Record<string, string>;
  created_at: string;
}

interface Props<T extends Registered> {
  /** "Teachers": the page's name, and below /ui/ its address. */
  title: string;
  load: () => Promise<{ items: T[] }>;
  add: { button: string; title: string; form: (onDone: (made: T) => void) => ReactNode };
  /** What stands there while nothing is registered. */
  empty: string;
  /** Below its name. */
  about: (item: T) => ReactNode;
  columns: [string, (item: T) => ReactNode][];
  below?: (items: T[], reload: () => void) => ReactNode;
}

/** A page of what is registered: a form that adds to it, and the list. */
export function Registry<T extends Registered>({ title, load, add, empty, about, columns, below }: Props<T>) {
  const [adding, setAdding] = useState(false);
  const nouns = title.toLowerCase();
  const { data, problem, updatedAt, reload } = usePoll(nouns, load, 5000);
  return (
    <Page
      title={title}
      actions={
        <>
          <Updated at={updatedAt} failing={problem !== null} />
          <button type="button" className="button" aria-expanded={adding} onClick={() => setAdding(!adding)}>
            <Icon name="upload" size={16} /> {add.button}
          </button>
        </>
      }
    >
      {adding && <Card title={add.title}>{add.form((made) => navigate(`/${nouns}/${made.id}`))}</Card>}
      {problem && !data && <Problem error={problem} onRetry={reload} />}
      {!data && !problem && <Loading what={nouns} />}
      {data?.items.length === 0 && <p className="none card">{empty}</p>}
      {data && data.items.length > 0 && <List items={data.items} address={`/${nouns}`} noun={title.slice(0, -1)} about={about} columns={columns} />}
      {data && below?.(data.items, reload)}
    </Page>
  );
}

interface ListProps<T> {
  items: T[];
  noun: string;
  address: string;
  about: (item: T) => ReactNode;
  columns: [string, (item: T) => ReactNode][];
}

function List<T extends Registered>({ items, noun, address, about, columns }: ListProps<T>) {
  const now = useNow();
  return (
    <Card className="flush">
      <table className="jobs">
        <Heads names={[noun, "Status", ...columns.map(([head]) => head), "Registered"]} />
        <tbody>
          {items.map((item) => (
            <tr key={item.id}>
              <td className="job-name">
                <Link to={`${address}/${item.id}`}>{item.name || item.id}</Link>
                <span className="muted small">{about(item)}</span>
                <Labels labels={item.labels} />
              </td>
              <td data-title="Status">
                <Readiness status={item.status} />
              </td>
              {columns.map(([head, cell]) => (
                <td key={head} data-title={head}>
                  {cell(item)}
                </td>
              ))}
              <td data-title="Registered" className="muted small nowrap" title={clock(item.created_at)}>
                {ago(item.created_at, now)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Card>
  );
}
