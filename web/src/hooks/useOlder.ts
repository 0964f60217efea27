import { useState } from "react";

import { asProblem, type ProblemError } from "../api/problem";

interface Listed<T> {
  items: T[];
  next_cursor?: string | null;
}

export interface Older<T> {
  items: T[];
  /** Asks for the next page; null where all are here. */
  more: (() => Promise<void>) | null;
  problem: ProblemError | null;
}

/** A list by its first page, which may be loaded again and again, and the older pages that were asked for since. */
export function useOlder<T extends { id: string }>(first: Listed<T> | undefined, next: (cursor: string) => Promise<Listed<T>>): Older<T> {
  const [kept, setKept] = useState<Listed<T> | null>(null);
  const [problem, setProblem] = useState<ProblemError | null>(null);
  const newest = first?.items ?? [];
  const known = new Set(newest.map(({ id }) => id));
  const items = kept ? [...newest, ...kept.items.filter(({ id }) => !known.has(id))] : newest;
  const cursor = (kept ?? first)?.next_cursor;

  async function more(from: string): Promise<void> {
    try {
      const page = await next(from);
      setKept({ items: [...items, ...page.items], next_cursor: page.next_cursor });
      setProblem(null);
    } catch (error) {
      setProblem(asProblem(error));
    }
  }
  return { items, more: cursor ? () => more(cursor) : null, problem };
}
