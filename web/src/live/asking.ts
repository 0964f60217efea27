import { parsed, reach } from "../api/client";
import { fromAnswer } from "../api/problem";
import { parser } from "../api/sse";
import type { Prediction } from "../api/types";

export interface Asked {
  teacher: boolean;
  files: File[];
  text: string | string[];
  max_tokens?: number;
  temperature?: number;
}

/** Takes the next part of the text that a network writes. */
export type OnPart = (network: string, part: string) => void;

/** Ask a student; texts that are written come in parts. Throws `ProblemError`. */
export async function ask(job: string, asked: Asked, onPart: OnPart, signal: AbortSignal): Promise<Prediction> {
  const path = `/jobs/${job}/predict`;
  const response = await reach(path, { method: "POST", signal, ...(asked.files.length > 0 ? form(asked) : json(asked)) });
  if (!(response.headers.get("Content-Type") ?? "").startsWith("text/event-stream")) {
    const body = parsed(await response.text());
    if (!response.ok) throw fromAnswer(response.status, body, path);
    return body as Prediction;
  }
  return await streamed(response, path, onPart);
}

function form({ files, teacher }: Asked): RequestInit {
  const body = new FormData();
  for (const file of files) body.append("file", file);
  body.append("teacher", String(teacher));
  return { body };
}

function json({ text, teacher, max_tokens, temperature }: Asked): RequestInit {
  const body = JSON.stringify({ inputs: [text], teacher, max_tokens, temperature });
  return { body, headers: { "Content-Type": "application/json", Accept: "text/event-stream" } };
}

async function streamed(response: Response, path: string, onPart: OnPart): Promise<Prediction> {
  let answer: Prediction | undefined;
  let failure: unknown;
  const feed = parser(({ event, data }) => {
    const found = parsed(data) as Record<string, unknown>;
    if (event === "text") onPart(String(found.network), String(found.text));
    else if (event === "answer") answer = found as unknown as Prediction;
    else if (event === "failed") failure = found;
  });
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    feed(value);
  }
  if (answer) return answer;
  const status = Number((failure as { status?: number } | undefined)?.status ?? 503);
  throw fromAnswer(status, failure, path);
}
