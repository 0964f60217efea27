import { render, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import type { DryRun, System } from "../api/types";
import { datasetFindings, teacherFindings } from "../lib/report";
import { CheckedCard } from "./CheckedCard";
import { DatasetReference } from "./DatasetReference";
import { DatasetShards } from "./DatasetShards";
import { outcome } from "./Deliveries";
import { classesTold } from "./ShardClasses";
import { Storage } from "./Storage";
import { Tiles } from "./Tiles";
import { DatasetUpload } from "./UploadForm";

const SHEET = { href: "/datasets/d/thumbnails", rows: 2, columns: 8, tile: 64, size_bytes: 1, sha256: "0" };

test("a row of the sheet shows as many tiles as the class has images", () => {
  const { rerender } = render(<Tiles sheet={SHEET} picture="blob:x" row={1} name="cat" images={3} />);
  const strip = screen.getByRole("img", { name: "3 training images of cat" });
  expect(strip.style.width).toBe("126px");
  expect(strip.style.backgroundPosition).toBe("0px -42px");
  expect(strip.style.backgroundSize).toBe("336px 84px");
  rerender(<Tiles sheet={SHEET} picture="blob:x" row={0} name="dog" images={500} />);
  expect(screen.getByRole("img", { name: "8 training images of dog" })).toBeTruthy();
  rerender(<Tiles sheet={SHEET} picture="blob:x" row={2} name="eel" images={5} />);
  expect(screen.queryByRole("img")).toBeNull();
});

test("a teacher's layers are read from its report, and a report without them is one too", () => {
  const layer = { name: "stages.0", index: 0, relative_depth: 0.5, kind: "block", shape: [16, 8, 8] };
  const found = teacherFindings({ parameters: 10, flops: 2e9, image_size: [32, 48], layers: [layer] });
  expect(found?.layers).toEqual([{ name: "stages.0", index: 0, depth: 0.5, kind: "block", shape: "16 × 8 × 8" }]);
  expect([found?.flops, found?.size]).toEqual([2e9, "48 × 32"]);
  expect(teacherFindings({ parameters: 10 })?.layers).toEqual([]);
  expect(datasetFindings({ classes: ["a"] })?.counts).toEqual([]);
});

const figure = (value: number) => ({ value, low: value / 2, high: value * 2, basis: `from ${value}` });

test("a dry run says what the job will take, on what ground, what is not known, and what is probably wrong", () => {
  const estimates = { minutes: figure(10), memory_bytes: figure(2e9), disk_bytes: null, notes: ["Time in the queue is not included."] };
  const warnings = [{ code: "preprocessing_assumed", message: "The teacher's normalisation is assumed.", remedy: "Register it with its own.", details: {} }];
  const checked = { valid: true, config: { epochs: 3, max_steps: null }, student: { name: "retort:resnet8", options: {} }, teacher: null, dataset: "d", input_bytes: 5, estimates, warnings };
  render(<CheckedCard checked={checked as unknown as DryRun} />);
  expect(screen.getByText("about 10 min 00 s (5 min 00 s to 20 min 00 s)")).toBeTruthy();
  expect(screen.getByText("about 2.0 GB (1.0 GB to 4.0 GB)")).toBeTruthy();
  expect(screen.queryByText("Disk")).toBeNull();
  expect(screen.getByText("Memory: from 2000000000.")).toBeTruthy();
  expect(screen.getByText("Time in the queue is not included.")).toBeTruthy();
  expect(screen.getByRole("alert").textContent).toBe("The teacher's normalisation is assumed. Register it with its own.");
});

test("storage is shown by kind, and as a share where there is a quota", () => {
  const storage = { used_bytes: 500, max_bytes: 2000, by_kind: { teachers: 500, datasets: 0 } };
  const { rerender } = render(<Storage storage={storage} />);
  expect(screen.getByRole("progressbar", { name: "Share of the quota" }).getAttribute("aria-valuenow")).toBe("25");
  expect(screen.getByText("teachers")).toBeTruthy();
  expect(screen.queryByText("datasets")).toBeNull();
  rerender(<Storage storage={{ ...storage, max_bytes: null }} />);
  expect(screen.queryByRole("progressbar")).toBeNull();
});

test("a delivery says how its last try went and when the next is", () => {
  const now = Date.parse("2026-01-31T12:00:00Z");
  const base = { id: "m", type: "t", payload: {}, tries: 1, created_at: "", finished_at: null, next_try_at: null };
  const tried = { at: "", status_code: 200, error: null, seconds: 0.12, answer: "" };
  expect(outcome({ ...base, status: "delivered", log: [tried] }, now)).toBe("delivered, answered 200 in 0.1 s");
  expect(outcome({ ...base, status: "failed", log: [{ ...tried, status_code: null, error: "timed out" }] }, now)).toBe("failed, timed out");
  expect(outcome({ ...base, status: "pending", log: [], next_try_at: "2026-01-31T11:59:00Z" }, now)).toBe("pending, not tried yet, again any moment");
});

const sent: unknown[] = [];
beforeEach(() => {
  sent.length = 0;
  vi.stubGlobal("fetch", async (request: Request) => {
    sent.push(await request.json());
    return new Response(JSON.stringify({ id: "dst_1" }), { status: 201, headers: { "Content-Type": "application/json" } });
  });
});
afterEach(() => vi.unstubAllGlobals());

test("a dataset by URL: whole or by parts, with the digest it must have", async () => {
  const user = userEvent.setup();
  const done = vi.fn();
  const schemes: System["dataset_references"] = ["https", "s3"];
  render(<DatasetReference schemes={schemes} onDone={done} />);
  const form = within(document.querySelector("form")!);
  expect(form.getByText(/https:\/\/, s3:\/\//)).toBeTruthy();
  const submit = form.getByRole("button", { name: "Fetch and register" });
  expect(submit.hasAttribute("disabled")).toBe(true);
  await user.type(form.getByLabelText(/^URL/), " https://a.org/x.zip ");
  await user.type(form.getByLabelText(/sha256/), "A".repeat(64));
  await user.click(submit);
  expect(sent).toEqual([{ reference: { url: "https://a.org/x.zip", sha256: "a".repeat(64) }, name: "" }]);
  expect(done).toHaveBeenCalledWith({ id: "dst_1" });
  await user.click(form.getByRole("checkbox"));
  await user.type(form.getByLabelText("URL of the test part"), "s3://b/y.zip");
  await user.click(submit);
  expect(sent[1]).toEqual({ train_reference: { url: "https://a.org/x.zip", sha256: "a".repeat(64) }, test_reference: { url: "s3://b/y.zip" }, name: "" });
});

test("a dataset of shards: whole or by parts, with what its numbers mean", async () => {
  const user = userEvent.setup();
  const done = vi.fn();
  render(<DatasetShards schemes={["https", "s3"]} onDone={done} />);
  const form = within(document.querySelector("form")!);
  const submit = form.getByRole("button", { name: "Register" });
  expect(submit.hasAttribute("disabled")).toBe(true);
  await user.click(form.getByLabelText(/^Shards W|^ShardsW/));
  await user.paste(" s3://b/train-*.tar \n\ns3://b/more.tar");
  await user.click(submit);
  expect(sent).toEqual([{ mode: "stream", shards: ["s3://b/train-*.tar", "s3://b/more.tar"], name: "" }]);
  expect(done).toHaveBeenCalledWith({ id: "dst_1" });
  await user.type(form.getByLabelText(/^Shards that test/), "s3://b/val.tar");
  await user.type(form.getByLabelText(/^Classes/), "cat{Enter}dog");
  await user.click(submit);
  expect(sent[1]).toEqual({ mode: "stream", train_shards: ["s3://b/train-*.tar", "s3://b/more.tar"], test_shards: ["s3://b/val.tar"], classes: ["cat", "dog"], name: "" });
  await user.selectOptions(form.getByLabelText(/^Where images say no class/), "shards");
  await user.click(submit);
  expect(sent[2]).toMatchObject({ classes_from: "shards" });
  await user.selectOptions(form.getByLabelText("Reading"), "sample");
  await user.click(submit);
  expect(sent[3]).toMatchObject({ inspection: "sample" });
  await user.selectOptions(form.getByLabelText("Reading"), "decode");
  await user.click(submit);
  expect(sent[4]).toMatchObject({ decode: "all" });
  expect(sent[4]).not.toHaveProperty("inspection");
});

test("a dataset of tars that are sent: what its numbers mean is asked of tars alone", async () => {
  render(<DatasetUpload onDone={vi.fn()} />);
  const drop = screen.getByLabelText(/Drop a dataset/);
  await userEvent.upload(drop, new File(["x"], "photos.zip"));
  expect(screen.queryByLabelText(/^Classes/)).toBeNull();
  await userEvent.upload(screen.getByLabelText(/photos.zip/), [new File(["x"], "photos-0.tar"), new File(["y"], "photos-1.tar")]);
  await userEvent.type(screen.getByLabelText(/^Classes/), "cat{Enter}dog");
  expect((screen.getByLabelText(/^Where images say no class/) as HTMLSelectElement).value).toBe("");
  expect(classesTold("cat\n\n dog ", "none")).toEqual({ classes: ["cat", "dog"], classes_from: "none" });
});
