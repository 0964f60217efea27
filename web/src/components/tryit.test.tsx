import { fireEvent, screen, waitFor, within } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { readAnswer, sizeOf } from "../api/answer";
import type { Job } from "../api/types";
import { Absolute } from "../testing/absolute";
import { show } from "../testing/tasks";
import { Disagreements } from "./Disagreements";
import { TryIt } from "./TryIt";

const top = (label: string, probability: number) => ({ kind: "class", label, index: 0, probability, top: [{ label, probability }, { label: "other", probability: 1 - probability }] });
const ANSWER = {
  job: "j", task: "classify_images", warm: true, milliseconds: 42, unable: [],
  networks: [{ network: "student", label: "", milliseconds: 3 }, { network: "teacher", label: "", milliseconds: 20 }],
  items: [{ student: top("coat", 0.7), teachers: [{ network: "teacher", answer: top("shirt", 0.9), agreement: 0 }] }],
};
const ITEM = { rank: 1, sample: 47, score: 0.8, label: { label: "shirt" }, student: { label: "coat", probability: 0.7 }, teacher: { label: "shirt", probability: 0.9 }, name: null, text: null, second: null, tile: null, size: null };
const PAGE = { items: [ITEM], next_cursor: "Mg", measure: "jensen_shannon", definition: "How far apart.", samples: 100, agreeing: 3, sheet: null };
const JOB = { id: "j", task: "classify_images", status: "succeeded", teacher: "t", links: { predict: "/jobs/j/predict", disagreements: "/jobs/j/disagreements" } } as unknown as Job;
let sent: Request[] = [];
let answer: () => Response;
const json = (body: unknown, status = 200): Response => new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json" } });
const stream = (text: string): Response => new Response(text, { status: 200, headers: { "Content-Type": "text/event-stream" } });

beforeEach(() => {
  sent = [];
  answer = () => json(ANSWER);
  vi.stubGlobal("Request", Absolute);
  vi.stubGlobal("fetch", async (input: Request | string) => {
    const request = typeof input === "string" ? new Request(input) : input;
    if (request.method === "POST") {
      sent.push(request);
      return answer();
    }
    const url = new URL(request.url, "http://h");
    return json(url.searchParams.has("cursor") ? { ...PAGE, items: [{ ...ITEM, rank: 2, sample: 12 }], next_cursor: null } : PAGE);
  });
  vi.stubGlobal("URL", Object.assign(URL, { createObjectURL: () => "blob:x", revokeObjectURL: () => undefined }));
});
afterEach(() => vi.unstubAllGlobals());

test("a picture that is chosen is asked about at once, student and teacher side by side", async () => {
  show(<TryIt job={JOB} />);
  fireEvent.change(await screen.findByLabelText(/Drop a picture/), { target: { files: [new File(["x"], "a.png")] } });
  const student = await screen.findByRole("region", { name: "Student" });
  expect(within(student).getByText("coat")).toBeTruthy();
  const teacher = screen.getByRole("region", { name: "Teacher" });
  expect(within(teacher).getByText("shirt")).toBeTruthy();
  expect(within(teacher).getByText(/Agreement 0 %/)).toBeTruthy();
  expect(screen.getByRole("status").textContent).toContain("42");
  expect(sent).toHaveLength(1);
});

test("a text is written as it comes, and its end is the answer", async () => {
  const whole = { ...ANSWER, task: "generate_text", items: [{ student: { kind: "text", text: "A bird.", tokens: 3, ending: "length" }, teachers: [] }] };
  answer = () => stream(`event: text\ndata: {"input":0,"network":"student","text":"A b"}\n\nevent: answer\ndata: ${JSON.stringify(whole)}\n\n`);
  show(<TryIt job={{ ...JOB, task: "generate_text", teacher: null } as Job} />);
  fireEvent.change(await screen.findByLabelText("Instruction"), { target: { value: "Name one." } });
  fireEvent.click(screen.getByRole("button", { name: "Ask" }));
  expect(await screen.findByText("A bird.")).toBeTruthy();
  expect(screen.getByText("3 tokens, cut at max_tokens")).toBeTruthy();
  expect(JSON.parse(await sent[0]!.text())).toEqual({ inputs: ["Name one."], teacher: false });
});

test("what cannot be answered is shown with its remedy", async () => {
  answer = () => stream(`event: failed\ndata: ${JSON.stringify({ status: 503, code: "predictor_died", detail: "It died.", remedy: "Ask again.", errors: [], details: {} })}\n\n`);
  show(<TryIt job={{ ...JOB, task: "classify_text" } as Job} />);
  fireEvent.change(await screen.findByLabelText("Text"), { target: { value: "A text." } });
  fireEvent.click(screen.getByRole("button", { name: "Ask" }));
  expect(await screen.findByText(/It died\./)).toBeTruthy();
  expect(screen.getByText(/Ask again\./)).toBeTruthy();
});

test("the ranking goes on where its first page ends", async () => {
  show(<Disagreements job={JOB} />);
  expect(await screen.findByText("test sample 47")).toBeTruthy();
  fireEvent.click(screen.getByRole("button", { name: "Show more" }));
  await waitFor(() => expect(screen.getByText("test sample 12")).toBeTruthy());
  expect(screen.queryByRole("button", { name: "Show more" })).toBeNull();
});

test("a job without a student or a teacher has no such cards", () => {
  show(<TryIt job={{ ...JOB, links: {} } as Job} />);
  show(<Disagreements job={{ ...JOB, teacher: null } as Job} />);
  expect(document.body.textContent).toBe("");
});

test("answers are read by their form", () => {
  expect(readAnswer({ boxes: [{ label: "cat", score: 0.2, corners: [0, 0, 1, 1] }, { label: "dog", score: 0.6, corners: [0, 0, 2, 2], colour: "#123456" }], sure: 0.3 })).toEqual({ kind: "boxes", boxes: [{ label: "dog", score: 0.6, corners: [0, 0, 2, 2], colour: "#123456" }] });
  expect(readAnswer({ labels: [], scores: [] })).toEqual({ kind: "labels", said: [], scores: [] });
  expect(readAnswer({ png: "AA", classes: [{ label: "sky", share: 0.5, colour: "#000000" }] })).toMatchObject({ kind: "mask", names: [{ label: "sky", share: 0.5 }] });
  expect(readAnswer(null)).toEqual({ kind: "none" });
  expect(sizeOf({ width: 3, height: 4 })).toEqual([3, 4]);
  expect(sizeOf({})).toBeNull();
});
