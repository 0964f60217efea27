/** Files of any size in parts, through /uploads: a part that fails is sent again, and an upload that was broken off goes
 * on where it was, also after the page was closed. */
import { api, unwrap } from "./client";
import { heard, notHeard } from "./contact";
import { authorization } from "./key";
import { asProblem, fromAnswer, ProblemError, unreachable } from "./problem";
import type { components } from "./schema";

type Upload = components["schemas"]["UploadOut"];
type Part = components["schemas"]["PartOut"];
export type Purpose = Upload["purpose"];

export interface Progress {
  sent: number;
  total: number;
  /** What the upload is at beside sending. */
  note: "" | "going on where it was" | "connection lost, trying again" | "verifying";
}

export interface Timing {
  backOffMs: number[];
  verifyMs: number;
}

const TIMING: Timing = { backOffMs: [1000, 2000, 4000, 8000, 15_000], verifyMs: 1000 };

/** Send `file` and return the complete upload's id. Rejects with `ProblemError`, or `AbortError` when `signal` stops it. */
export async function sendFile(file: File, purpose: Purpose, onProgress: (progress: Progress) => void, signal: AbortSignal, timing: Timing = TIMING): Promise<string> {
  const name = memory(file, purpose);
  const upload = (await known(name, file)) ?? (await begin(file, purpose));
  localStorage.setItem(name, upload.id);
  if (upload.status === "open") await sendParts(file, upload.id, onProgress, signal, timing);
  onProgress({ sent: file.size, total: file.size, note: "verifying" });
  await complete(upload.id, signal, timing);
  return upload.id;
}

/** Forget what would be gone on with: the upload has become something. */
export const forget = (file: File, purpose: Purpose): void => localStorage.removeItem(memory(file, purpose));

const memory = (file: File, purpose: Purpose): string => `retort-upload ${purpose} ${file.name} ${file.size} ${file.lastModified}`;
const at = (id: string) => ({ params: { path: { upload_id: id } } });

async function known(name: string, file: File): Promise<Upload | null> {
  const id = localStorage.getItem(name);
  if (!id) return null;
  try {
    const upload = await unwrap(api.GET("/uploads/{upload_id}", at(id)));
    const usable = ["open", "completing", "complete"].includes(upload.status) && upload.size_bytes === file.size;
    return usable ? upload : null;
  } catch (error) {
    if (asProblem(error).problem.status === 404) return null; // it has expired
    throw error;
  }
}

/** Parts go to the object store itself where the service has an address of it for browsers. */
const begin = (file: File, purpose: Purpose): Promise<Upload> => unwrap(api.POST("/uploads", { body: { filename: file.name, size_bytes: file.size, purpose, direct: true } }));

async function parts(id: string): Promise<Part[]> {
  const all: Part[] = [];
  let cursor: string | undefined;
  do {
    const page = await unwrap(api.GET("/uploads/{upload_id}/parts", { params: { path: { upload_id: id }, query: { cursor, limit: 200 } } }));
    all.push(...page.items);
    cursor = page.next_cursor ?? undefined;
  } while (cursor);
  return all;
}

async function sendParts(file: File, id: string, onProgress: (progress: Progress) => void, signal: AbortSignal, timing: Timing): Promise<void> {
  const all = await parts(id);
  let sent = all.filter((part) => part.received).reduce((sum, part) => sum + part.size_bytes, 0);
  let note: Progress["note"] = sent > 0 ? "going on where it was" : "";
  const route: Route = { direct: true };
  let fresh = new Map(all.map((part) => [part.number, part]));
  for (const { number } of all.filter((each) => !each.received)) {
    // Signed URLs end after an hour; one listing renews them all.
    if (route.direct && !good(fresh.get(number)!)) fresh = new Map((await parts(id)).map((part) => [part.number, part]));
    const part = fresh.get(number)!;
    const before = sent;
    const tell = (bytes: number): void => onProgress({ sent: before + bytes, total: file.size, note });
    tell(0);
    await insist(() => putPart(file, id, part, tell, signal, route), signal, timing, () => onProgress({ sent: before, total: file.size, note: "connection lost, trying again" }));
    sent += part.size_bytes;
    note = "";
  }
}

/** Again and again while the service is away; a refusal is final. */
async function insist(work: () => Promise<void>, signal: AbortSignal, timing: Timing, onLost: () => void): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await work();
    } catch (error) {
      const away = error instanceof ProblemError && (error.problem.status === 0 || error.problem.status >= 500);
      if (!away || signal.aborted) throw error;
      onLost();
      await pause(timing.backOffMs[Math.min(tries, timing.backOffMs.length - 1)] ?? 15_000, signal);
    }
  }
}

/** Whether parts still go to the store itself. */
interface Route {
  direct: boolean;
}

const absolute = (part: Part): string | null => (part.url && /^https?:\/\//.test(part.url) ? part.url : null);
/** Whether its URL is good for long enough to send it, or never ends. */
const good = (part: Part): boolean => !part.expires_at || Date.parse(part.expires_at) > Date.now() + 60_000;

async function putPart(file: File, id: string, part: Part, onSent: (bytes: number) => void, signal: AbortSignal, route: Route): Promise<void> {
  const bytes = await file.slice(part.offset, part.offset + part.size_bytes).arrayBuffer();
  const path = `/uploads/${id}/parts/${part.number}`;
  const url = absolute(part);
  if (url && route.direct) {
    try {
      return await put(url, bytes, {}, onSent, signal);
    } catch (error) {
      if (signal.aborted) throw error;
      route.direct = false; // a store without a CORS rule, behind a firewall, away: the API takes every part
    }
  }
  const headers = { ...authorization(), ...(await digested(bytes)), "Content-Type": "application/octet-stream" };
  await put(path, bytes, headers, onSent, signal);
}

async function digested(bytes: ArrayBuffer): Promise<Record<string, string>> {
  if (!globalThis.crypto?.subtle) return {}; // plain http on a LAN has none; the size is still checked
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return { "Content-Digest": `sha-256=:${btoa(String.fromCharCode(...digest))}:` };
}

/** `fetch` cannot tell how much of a body has gone. */
function put(path: string, body: ArrayBuffer, headers: Record<string, string>, onSent: (bytes: number) => void, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = (): void => request.abort();
    request.open("PUT", path);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => onSent(event.loaded);
    const own = path.startsWith("/"); // the store's answers say nothing about the service
    request.onload = () => {
      if (own) heard();
      if (request.status < 300) resolve();
      else reject(fromAnswer(request.status, parsed(request.responseText), path));
    };
    request.onerror = () => {
      if (own) notHeard();
      reject(unreachable("upload interrupted"));
    };
    request.onabort = () => reject(stopped());
    request.onloadend = () => signal.removeEventListener("abort", abort);
    signal.addEventListener("abort", abort);
    if (signal.aborted) reject(stopped());
    else request.send(body);
  });
}

async function complete(id: string, signal: AbortSignal, timing: Timing): Promise<void> {
  let upload = (await unwrap(api.POST("/uploads/{upload_id}/complete", at(id)))) as Upload;
  while (upload.status === "completing") {
    await pause(timing.verifyMs, signal);
    upload = await unwrap(api.GET("/uploads/{upload_id}", at(id)));
  }
  if (upload.status === "failed") throw fromAnswer(422, { ...upload.error, detail: upload.error?.message, code: upload.error?.code ?? "upload_failed" }, `/uploads/${id}`);
}

const stopped = (): DOMException => new DOMException("Upload stopped", "AbortError");

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // no problem document: the status is shown instead
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      clearTimeout(timer);
      reject(stopped());
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", abort);
      resolve();
    }, ms);
    signal.addEventListener("abort", abort, { once: true });
  });
}
