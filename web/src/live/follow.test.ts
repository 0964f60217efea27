// @vitest-environment node
// Against a real HTTP server, which breaks off, refuses and ends as services and proxies do.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeAll, expect, test, vi } from "vitest";

import type { JobEvent } from "../api/types";
import { event } from "../testing/samples";
import type { Handlers, Mode, Timing } from "./follow";

const QUICK: Timing = { stalledMs: 2000, backOffMs: [5], pollMs: 5, failures: 2, retryStreamMs: 60, shortMs: 5 };
const message = (each: JobEvent): string => `id: ${each.seq}\nevent: ${each.kind}\ndata: ${JSON.stringify(each)}\n\n`;
const EVENTS = [1, 2, 3, 4].map((seq) => event(seq, "phase", { phase: "scoring" }));

let server: Server | undefined;
let follow: typeof import("./follow").follow;

beforeAll(async () => {
  vi.stubGlobal("window", { location: { origin: "http://127.0.0.1" } });
  vi.stubGlobal("sessionStorage", { getItem: () => null });
  ({ follow } = await import("./follow"));
});
afterEach(() => new Promise((resolve) => server?.close(resolve)));

async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  server = createServer(answer);
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/jobs/job_1/events`;
}

function witness() {
  const seen: number[] = [];
  const modes: Mode[] = [];
  const handlers: Handlers = {
    onEvents: (events) => seen.push(...events.map(({ seq }) => seq)),
    onProgress: () => {},
    onHeard: () => {},
    onMode: (mode) => modes.push(mode),
  };
  return { seen, modes, handlers };
}

const behind = (request: IncomingMessage): JobEvent[] => EVENTS.filter(({ seq }) => seq > Number(request.headers["last-event-id"] ?? 0));

test("a stream that breaks off is taken up behind the last event, and 204 ends it", async () => {
  let connections = 0;
  const url = await serve((request, response) => {
    connections += 1;
    const left = behind(request);
    if (left.length === 0) return response.writeHead(204).end();
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.write(left.slice(0, 2).map(message).join(""));
    if (connections === 1) setTimeout(() => response.destroy(), 20);
    else setTimeout(() => response.end(), 20);
    return undefined;
  });
  const { seen, modes, handlers } = witness();
  await follow(url, 0, handlers, new AbortController().signal, QUICK);
  expect(seen).toEqual([1, 2, 3, 4]);
  expect(modes).toContain("waiting");
  expect(modes.at(-1)).toBe("ended");
});

test("where no stream comes through, pages do", async () => {
  const url = await serve((request, response) => {
    const left = behind(request);
    if (request.headers.accept === "text/event-stream") return response.writeHead(left.length ? 502 : 204).end();
    response.writeHead(200, { "Content-Type": "application/json" });
    return response.end(JSON.stringify({ items: left.slice(0, 3), next_cursor: left.length > 3 ? "more" : null }));
  });
  const { seen, modes, handlers } = witness();
  await follow(url, 0, handlers, new AbortController().signal, QUICK);
  expect(seen).toEqual([1, 2, 3, 4]);
  expect(modes).toContain("polling");
  expect(modes.at(-1)).toBe("ended");
});

test("what trying again cannot cure is told", async () => {
  const problem = { status: 404, code: "not_found", title: "Not found", detail: "There is no job.", remedy: "" };
  const url = await serve((_, response) => response.writeHead(404, { "Content-Type": "application/problem+json" }).end(JSON.stringify(problem)));
  const { handlers } = witness();
  await expect(follow(url, 0, handlers, new AbortController().signal, QUICK)).rejects.toThrow("There is no job.");
});

test("it ends when nobody looks any more", async () => {
  const url = await serve((_, response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.write(": heartbeat\n\n");
  });
  const { handlers } = witness();
  const abort = new AbortController();
  const following = follow(url, 0, { ...handlers, onHeard: () => abort.abort() }, abort.signal, QUICK);
  await expect(following).resolves.toBeUndefined();
  server?.closeAllConnections();
});
