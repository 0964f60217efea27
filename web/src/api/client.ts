import createClient from "openapi-fetch";

import { heard, notHeard } from "./contact";
import { authorization } from "./key";
import { fromAnswer, unreachable } from "./problem";
import type { paths } from "./schema";

/** `fetch` that tells the contact store what happened and turns silence into a problem. */
export async function reach(input: Request | string, init: RequestInit = {}): Promise<Response> {
  const request = new Request(input, init);
  for (const [name, value] of Object.entries(authorization())) request.headers.set(name, value);
  try {
    const response = await fetch(request);
    heard(response);
    return response;
  } catch (error) {
    if (request.signal.aborted) throw error;
    notHeard();
    throw unreachable(error);
  }
}

export const api = createClient<paths>({ baseUrl: window.location.origin, fetch: (request) => reach(request) });

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The body of a good answer. Throws `ProblemError`. */
export async function unwrap<T>(answer: Promise<Answer<T>>): Promise<NonNullable<T>> {
  const { data, error, response } = await answer;
  if (!response.ok) throw fromAnswer(response.status, error, new URL(response.url || "/", window.location.origin).pathname);
  return data as NonNullable<T>;
}

/** The body of a good answer as text, for forms that are no JSON. */
export async function text(path: string, accept: string): Promise<string> {
  const response = await reach(path, { headers: { Accept: accept } });
  const body = await response.text();
  if (!response.ok) throw fromAnswer(response.status, parsed(body), path);
  return body;
}

export function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined; // not JSON: the caller shows the status instead
  }
}
