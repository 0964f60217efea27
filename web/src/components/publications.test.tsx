import { fireEvent, screen, waitFor, within } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import type { Job } from "../api/types";
import { Absolute } from "../testing/absolute";
import { show } from "../testing/tasks";
import { Publications } from "./Publications";

const DONE = {
  id: "p", job: "j", target: "huggingface", parameters: { repository: "me/birds" }, secret: "hub", status: "succeeded", attempt: 1, error: null, warnings: [],
  receipt: { url: "https://huggingface.co/me/birds/tree/9f1c", commit: "9f1c00aa11bb22cc" }, files: [], created_at: "", finished_at: "", links: {},
};
const AWAY = { ...DONE, id: "q", target: "s3", parameters: {}, status: "failed", receipt: null, error: { message: "The S3 store does not answer.", remedy: "Retry.", fault: "system" } };
const FORBIDDEN = { ...AWAY, id: "r", target: "mlflow", error: { message: "It belongs to another.", fault: "user" } };
const TARGETS = {
  items: [
    {
      name: "huggingface", summary: "A model repository.", credentials: { token: { description: "An access token.", required: true } },
      parameters: { repository: { type: "string", description: "Owner and name." }, private: { type: "boolean", default: true, description: "Whether only its owner sees it." } },
    },
    { name: "tensorboard", summary: "Event files.", parameters: {}, credentials: {} },
  ],
};
const JOB = { id: "j", task: "classify_images", status: "succeeded", links: { publications: "/jobs/j/publications" } } as unknown as Job;
let sent: { path: string; method: string; body: unknown }[] = [];
let live: object[] | null = null;

beforeEach(() => {
  sent = [];
  live = null;
  vi.stubGlobal("Request", Absolute);
  vi.stubGlobal("fetch", async (input: Request | string) => {
    const request = typeof input === "string" ? new Request(input) : input;
    const path = new URL(request.url, "http://h").pathname;
    const text = request.method === "GET" ? "" : await request.text();
    if (request.method !== "GET") sent.push({ path, method: request.method, body: text ? JSON.parse(text) : null });
    const answers: Record<string, unknown> = { "/catalogue/targets": TARGETS, "/secrets": { items: [{ name: "hub", parts: ["token"] }] }, "/jobs/j/publications": { items: live ?? [DONE, AWAY, FORBIDDEN] } };
    return new Response(JSON.stringify(answers[path] ?? DONE), { status: 200, headers: { "Content-Type": "application/json" } });
  });
});
afterEach(() => vi.unstubAllGlobals());

test("each publication is shown with its result or what went wrong", async () => {
  show(<Publications job={JOB} />);
  const done = (await screen.findByRole("rowheader", { name: /huggingface/ })).closest("tr")!;
  expect(within(done).getByRole("link").getAttribute("href")).toContain("me/birds");
  expect(within(done).getByText("9f1c00aa11bb")).toBeTruthy();
  const away = screen.getByRole("rowheader", { name: "s3" }).closest("tbody")!;
  fireEvent.click(within(away).getByRole("button", { name: "Retry" }));
  await waitFor(() => expect(sent.map(({ path }) => path)).toContain("/jobs/q/retry"));
  const forbidden = screen.getByRole("rowheader", { name: "mlflow" }).closest("tbody")!;
  expect(within(forbidden).getByText("It belongs to another.")).toBeTruthy();
  expect(within(forbidden).queryByRole("button")).toBeNull();
});

test("the form asks what the target has", async () => {
  show(<Publications job={JOB} />);
  fireEvent.change(await screen.findByLabelText(/^repository$/i), { target: { value: "me/owls" } });
  fireEvent.change(screen.getByLabelText(/^private$/i), { target: { value: "false" } });
  await screen.findByRole("option", { name: "hub" });
  fireEvent.change(screen.getByLabelText("Secret"), { target: { value: "hub" } });
  fireEvent.click(screen.getByRole("button", { name: "Publish" }));
  const body = { target: "huggingface", parameters: { repository: "me/owls", private: false }, secret: "hub", again: false };
  await waitFor(() => expect(sent).toEqual([{ path: "/jobs/j/publish", method: "POST", body }]));
  fireEvent.change(screen.getByLabelText("Target"), { target: { value: "tensorboard" } });
  expect(screen.queryByLabelText("Secret")).toBeNull();
});

test("new credentials are sent once and kept in no field", async () => {
  show(<Publications job={JOB} />);
  fireEvent.click(await screen.findByRole("button", { name: "New credentials" }));
  const token = screen.getByLabelText(/^token/i);
  expect(token.getAttribute("type")).toBe("password");
  fireEvent.change(token, { target: { value: "hf_secret" } });
  fireEvent.click(screen.getByRole("button", { name: "Keep" }));
  await waitFor(() => expect(sent).toEqual([{ path: "/secrets/huggingface", method: "PUT", body: { value: { token: "hf_secret" } } }]));
  await waitFor(() => expect(screen.queryByLabelText(/^token/i)).toBeNull());
  expect(document.body.innerHTML).not.toContain("hf_secret");
});

test("while a job runs it is told where it is followed, and since when a target does not answer", async () => {
  const warning = { code: "target_unavailable", message: "", remedy: "", details: { since: "2027-01-15T08:00:00+00:00", until: null } };
  live = [{ ...DONE, target: "mlflow", status: "running", warnings: [warning] }];
  show(<Publications job={{ ...JOB, status: "running", publications: live } as unknown as Job} />);
  const row = (await screen.findByRole("rowheader", { name: /mlflow/ })).closest("tr")!;
  expect(row.textContent).toContain(`no answer since ${new Date(1_800_000_000_000).toLocaleTimeString()}`);
  expect(screen.queryByLabelText("Target")).toBeNull();
});

test("a job that has not ended has no such card", () => {
  show(<Publications job={{ ...JOB, status: "running", publications: [] } as unknown as Job} />);
  expect(screen.queryByText("Publish")).toBeNull();
});
