import { reach } from "../api/client";
import { apiKey } from "../api/key";
import { fromAnswer } from "../api/problem";

export function save(content: Blob | string, filename: string, type = "text/plain"): void {
  const blob = typeof content === "string" ? new Blob([content], { type }) : content;
  const url = URL.createObjectURL(blob);
  follow(url, filename);
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

function follow(url: string, filename: string): void {
  const link = document.createElement("a");
  link.href = url;
  link.download = filename;
  document.body.append(link);
  link.click();
  link.remove();
}

/** Let the browser download a file of the service. Where a key is needed, a link cannot carry it: the page fetches. */
export async function download(path: string, filename: string): Promise<void> {
  if (!apiKey()) return follow(path, filename);
  const response = await reach(`${path}${path.includes("?") ? "&" : "?"}redirect=false`);
  if (!response.ok) throw fromAnswer(response.status, undefined, path);
  save(await response.blob(), filename);
}

/** Throws where the browser forbids it: nothing is said to be copied that was not. */
export async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    copyBySelection(text); // clipboards need a secure context; plain http on a LAN is none
  }
}

function copyBySelection(text: string): void {
  const area = document.createElement("textarea");
  area.value = text;
  area.setAttribute("aria-hidden", "true");
  document.body.append(area);
  const before = document.activeElement;
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  if (before instanceof HTMLElement) before.focus({ preventScroll: true });
  if (!copied) throw new Error("The browser did not let the page copy. Select the text and copy it by hand.");
}
