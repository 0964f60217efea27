import { screen, within } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { readFigures } from "../api/figures";
import type { Job } from "../api/types";
import { datasetFindings } from "../lib/report";
import { Absolute } from "../testing/absolute";
import { show } from "../testing/tasks";
import { TestedCards } from "./TestedCard";

const REPORT = {
  teacher: { per_class: { road: { value: 0.9, n: 10 }, unicorn: { value: null, n: 0 } } },
  student: { per_class: { road: { value: 0.8, n: 10 }, unicorn: { value: null, n: 0 } } },
  comparison: null,
};
const ANSWERS: Record<string, unknown> = {
  "/jobs/j/artifacts": { items: [{ name: "report.json", href: "/jobs/j/artifacts/report.json" }, { name: "examples.webp", href: "/jobs/j/artifacts/examples.webp" }] },
  "/jobs/j/artifacts/report.json": REPORT,
  "/jobs/j/artifacts/examples.webp": "picture",
};

beforeEach(() => {
  URL.createObjectURL = () => "blob:shown";
  URL.revokeObjectURL = () => undefined;
  vi.stubGlobal("Request", Absolute);
  vi.stubGlobal("fetch", (input: Request | string) => {
    const path = new URL(typeof input === "string" ? input : input.url, "http://h").pathname;
    const known = ANSWERS[path];
    return Promise.resolve(new Response(JSON.stringify(known ?? {}), { status: known ? 200 : 404, headers: { "Content-Type": "application/json" } }));
  });
});
afterEach(() => vi.unstubAllGlobals());

test("figures by class are those of every network, and a class without one has none", () => {
  expect(readFigures(REPORT)).toEqual({ columns: ["Teacher", "Student"], classes: [{ name: "road", n: 10, values: [0.9, 0.8] }, { name: "unicorn", n: 0, values: [null, null] }] });
  expect(readFigures({ student: { loss: 1 } })).toEqual({ columns: [], classes: [] });
  expect(readFigures("no object").classes).toEqual([]);
});

test("a segmentation job shows IoU by class and test images side by side", async () => {
  show(<TestedCards job={{ id: "j", task: "segment_images" } as Job} />);
  expect(await screen.findByText("IoU by class")).toBeTruthy();
  const row = screen.getByRole("rowheader", { name: "road" }).closest("tr")!;
  expect(within(row).getByText("80.0 %")).toBeTruthy();
  expect(screen.getByRole("columnheader", { name: "Pixels" })).toBeTruthy();
  expect((await screen.findByRole<HTMLImageElement>("img")).src).toBe("blob:shown");
});

test("a dataset of masks counts its images once and every class's apart", () => {
  const found = datasetFindings({ classes: ["sky", "road"], counts: { train: [5] }, images_with: { train: [4, 5] }, pixel_shares: { train: [0.25, 0.75] }, unlabelled: { train: 0.1 } })!;
  expect(found.counts).toEqual([{ split: "train", counts: [5] }]);
  expect(found.byClass).toEqual([{ split: "train", counts: [4, 5] }]);
  expect([found.shares, found.unlabelled]).toEqual([[0.25, 0.75], 0.1]);
  expect(datasetFindings({ classes: ["a"], counts: { train: [3] } })!.byClass).toEqual([{ split: "train", counts: [3] }]);
});

test("a dataset of lists of labels tells how many an image has", () => {
  const labels_per_image = { train: { mean: 1.5, most: 2, none: 1, doubled: 0 } };
  const found = datasetFindings({ classes: ["sky", "road"], counts: { train: [5] }, images_with: { train: [4, 3] }, labels_per_image })!;
  expect(found.byClass).toEqual([{ split: "train", counts: [4, 3] }]);
  expect(found.labels).toEqual([{ split: "train", mean: 1.5, most: 2, none: 1 }]);
});
