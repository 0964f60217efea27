import { reach } from "./client";

/** A file of JSON, read by `read`; null where there is none. */
export async function opened<T>(path: string | null, read: (value: unknown) => T): Promise<T | null> {
  if (path === null) return null;
  const answer = await reach(`${path}?redirect=false`);
  return answer.ok ? read(await answer.json()) : null;
}
