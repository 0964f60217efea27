import { fireEvent, screen, waitFor, within } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { readExport } from "../api/exported";
import type { Job } from "../api/types";
import { Absolute } from "../testing/absolute";
import { show } from "../testing/tasks";
import { Exports } from "./Exports";

const latency = (one: number, many: number) => ({ "1": { median_ms: one, threads: 2 }, "32": { median_ms: many, threads: 2 } });
const EXACT = {
  id: "j.1", job: "j", format: "onnx", parameters: {}, max_drop: 0.01, status: "succeeded", error: null, exceeds_max_drop: false,
  result: { figure: { value: 0.91, low: 0.9, high: 0.92, n: 100 }, drop: 0, agreement: { value: 1 }, bytes: 2048, latency: latency(0.5, 4) },
  torch: { latency: latency(1.5, 6) }, files: [{ name: "student.onnx", href: "/jobs/j/artifacts/student.onnx" }], created_at: "", finished_at: "", links: {},
};
const LOSSY = { ...EXACT, id: "e", format: "onnx-int8", exceeds_max_drop: true, result: { ...EXACT.result, drop: 0.034 } };
const PIXELS = { pixels: { type: "boolean", "x-tasks": ["classify_images"], description: "Takes uint8 pixels." } };
const INT8 = { ...PIXELS, calibration_samples: { type: "integer" }, quantisation_aware: { type: "boolean", description: "Train further." } };
const FAILED = { ...EXACT, id: "f", format: "openvino", status: "failed", result: null, files: [], error: { message: "The operator aten.foo is not there." } };
const JOB = { id: "j", task: "classify_images", status: "succeeded", links: { exports: "/jobs/j/exports" } } as unknown as Job;
let posted: unknown[] = [];

beforeEach(() => {
  posted = [];
  vi.stubGlobal("Request", Absolute);
  vi.stubGlobal("fetch", async (input: Request | string) => {
    const request = typeof input === "string" ? new Request(input) : input;
    const path = new URL(request.url, "http://h").pathname;
    if (request.method === "POST") posted.push(JSON.parse(await request.text()));
    const formats = { items: [{ name: "onnx", summary: "ONNX in fp32.", parameters: PIXELS }, { name: "onnx-int8", summary: "ONNX in int8.", parameters: INT8 }, { name: "gguf", summary: "For llama.cpp.", parameters: {} }] };
    const answer = path === "/catalogue/exports" ? formats : request.method === "POST" ? EXACT : { items: [EXACT, LOSSY, FAILED] };
    return new Response(JSON.stringify(answer), { status: 200, headers: { "Content-Type": "application/json" } });
  });
});
afterEach(() => vi.unstubAllGlobals());

test("each file is shown beside torch, and one that loses too much is marked", async () => {
  show(<Exports job={JOB} />);
  const exact = (await screen.findByRole("rowheader", { name: "onnx" })).closest("tr")!;
  expect(within(exact).getByText("91.00 %")).toBeTruthy();
  expect(within(exact).getByText("(1.5)")).toBeTruthy();
  expect(within(exact).getByRole("button", { name: "Download student.onnx" })).toBeTruthy();
  expect(within(exact).queryByRole("note")).toBeNull();
  const lossy = screen.getByRole("rowheader", { name: /onnx-int8/ }).closest("tr")!;
  expect(within(lossy).getByText("3.40 points")).toBeTruthy();
  expect(within(lossy).getByRole("note").textContent).toContain("1.00 points allowed");
  expect(screen.getByText(/aten.foo/)).toBeTruthy();
});

test("another format is asked for", async () => {
  show(<Exports job={JOB} />);
  await screen.findByText("ONNX in fp32.");
  fireEvent.change(screen.getByLabelText("Format"), { target: { value: "onnx-int8" } });
  fireEvent.click(screen.getByRole("checkbox", { name: "pixels" }));
  fireEvent.click(screen.getByRole("checkbox", { name: "quantisation-aware" }));
  fireEvent.click(screen.getByRole("button", { name: "Export" }));
  const parameters = { pixels: true, quantisation_aware: true };
  await waitFor(() => expect(posted).toEqual([{ format: "onnx-int8", parameters, max_drop: 0.01 }]));
});

test("what another format has is not sent to one that has it not", async () => {
  show(<Exports job={JOB} />);
  await screen.findByText("ONNX in fp32.");
  fireEvent.change(screen.getByLabelText("Format"), { target: { value: "onnx-int8" } });
  fireEvent.click(screen.getByRole("checkbox", { name: "quantisation-aware" }));
  fireEvent.change(screen.getByLabelText("Format"), { target: { value: "onnx" } });
  expect(screen.queryByRole("checkbox", { name: "quantisation-aware" })).toBeNull();
  fireEvent.click(screen.getByRole("button", { name: "Export" }));
  await waitFor(() => expect(posted).toEqual([{ format: "onnx", parameters: {}, max_drop: 0.01 }]));
});

test("a task is offered the formats that take its students", async () => {
  show(<Exports job={{ ...JOB, task: "generate_text" } as Job} />);
  await screen.findByText("For llama.cpp.");
  expect(within(screen.getByLabelText("Format")).getAllByRole("option").map(({ textContent }) => textContent)).toEqual(["gguf"]);
  expect(screen.queryByRole("checkbox")).toBeNull();
  fireEvent.click(screen.getByRole("button", { name: "Export" }));
  await waitFor(() => expect(posted).toEqual([{ format: "gguf", parameters: {}, max_drop: 0.01 }]));
});

test("a parameter that names other tasks is left out", async () => {
  show(<Exports job={{ ...JOB, task: "classify_text" } as Job} />);
  await screen.findByText("ONNX in fp32.");
  fireEvent.change(screen.getByLabelText("Format"), { target: { value: "onnx-int8" } });
  expect(screen.queryByRole("checkbox", { name: "pixels" })).toBeNull();
  expect(screen.getByRole("checkbox", { name: "quantisation-aware" })).toBeTruthy();
});

test("a job that has not ended has no such card", () => {
  show(<Exports job={{ ...JOB, status: "running" } as Job} />);
  expect(screen.queryByText("Exports")).toBeNull();
});

test("what was not judged has no figures", () => {
  expect(readExport({ result: null, torch: null })).toBeNull();
  expect(readExport({ result: { drop: null, bytes: 3 }, torch: null })).toEqual({ figure: null, drop: null, agreement: null, bytes: 3, ms: [null, null], torchMs: [null, null], threads: null });
});
