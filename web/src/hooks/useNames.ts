import { api, unwrap } from "../api/client";
import { usePoll } from "./usePoll";

/** Id -> name of teachers and datasets. */
export function useNames(): Map<string, string> {
  const { data } = usePoll("names", load, 30_000);
  return data ?? NONE;
}

const NONE = new Map<string, string>();

async function load(): Promise<Map<string, string>> {
  const query = { params: { query: { limit: 200 } } };
  const [teachers, datasets] = await Promise.all([unwrap(api.GET("/teachers", query)), unwrap(api.GET("/datasets", query))]);
  return new Map([...teachers.items, ...datasets.items].map((each) => [each.id, each.name || each.id]));
}
