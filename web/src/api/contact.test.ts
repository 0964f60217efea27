import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { contactStore, heard } from "./contact";

const NOW = Date.UTC(2026, 0, 31, 12);
const dated = (date: string): Response => new Response("", { headers: { Date: date } });
const ahead = (ms: number): Response => dated(new Date(NOW + ms).toUTCString());
const offset = (): number => contactStore.read().clockOffset;

beforeEach(() => vi.useFakeTimers({ now: NOW }));
afterEach(() => vi.useRealTimers());

test("the service's clock stays known through answers that tell no time", () => {
  heard(ahead(600_000));
  expect(offset()).toBe(600_000);
  for (const silent of [undefined, new Response(""), dated("yesterday")]) {
    heard(silent); // a chunk of an event stream has no headers
    expect(offset()).toBe(600_000);
  }
  heard(ahead(1000)); // the clocks agree again, as far as whole seconds tell
  expect(offset()).toBe(0);
});

test("a key that is asked for stays asked for: answers that need none do not take the form away", () => {
  heard(new Response(null, { status: 401 }));
  heard(new Response("{}", { status: 200 })); // /openapi.json
  expect(contactStore.read().needsKey).toBe(true);
});
