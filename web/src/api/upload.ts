import { heard, notHeard } from "./contact";
import { parsed } from "./client";
import { authorization } from "./key";
import { fromAnswer, unreachable } from "./problem";

export interface Progress {
  sent: number;
  total: number;
}

/** POST a form with progress, which `fetch` cannot tell. Resolves to the answer's JSON. Throws `ProblemError`. */
export function upload<T>(path: string, form: FormData, onProgress: (progress: Progress) => void, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    for (const [name, value] of Object.entries(authorization())) request.setRequestHeader(name, value);
    request.setRequestHeader("Accept", "application/json");
    request.upload.onprogress = (event) => onProgress({ sent: event.loaded, total: event.total });
    request.onload = () => {
      heard();
      const body = parsed(request.responseText);
      if (request.status >= 200 && request.status < 300) resolve(body as T);
      else reject(fromAnswer(request.status, body, path));
    };
    request.onerror = () => {
      notHeard();
      reject(unreachable("upload interrupted"));
    };
    request.onabort = () => reject(new DOMException("Upload cancelled", "AbortError"));
    signal.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}
