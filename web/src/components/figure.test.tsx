import { render, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import type { Figure, FigureLeftOut, FigureLine, FigurePoint } from "../api/types";
import { setApiKey } from "../api/key";
import { logTicks } from "../charts/scale";
import { compact } from "../lib/format";
import { Absolute } from "../testing/absolute";
import { FigureCard } from "./FigureCard";

const RECIPE = "/config/recipe";
const PARAMETERS = { name: "parameters", kind: "figure", label: "parameters of the student", logarithmic: true } as const;
const EPOCHS = { name: "/config/epochs", kind: "place", label: "epochs", logarithmic: false } as const;
const QUALITY = { name: "quality", kind: "score", label: "quality Q of the layer", logarithmic: false } as const;
const ACCURACY = { name: "accuracy", kind: "figure", label: "accuracy", logarithmic: false } as const;
const SERIES = { name: RECIPE, kind: "place", label: "recipe", logarithmic: false } as const;

const point = (configuration: number, x: number, y: number, half: number | null = 0.01, more: Partial<FigurePoint> = {}): FigurePoint => ({
  configuration, assignment: configuration ? { [RECIPE]: "logit" } : {}, x, y, sd: half, n: half === null ? 1 : 3, low: half === null ? null : y - half, high: half === null ? null : y + half,
  layer: null, unused: {}, job: `job_${configuration}`, ...more,
});
const line = (value: string, points: FigurePoint[], joined: number[][] = []): FigureLine => ({ value, label: value, points, joined, rank_correlation: null });
const out = (configuration: number, unused: Record<string, number>, why: FigureLeftOut["why"] = "no_value"): FigureLeftOut => ({ configuration, assignment: { [RECIPE]: "simkd" }, why, unused, job: null });
const made = (more: Partial<Figure>): Figure => ({
  x: PARAMETERS, y: ACCURACY, series: SERIES, left_out: [], reading: ["What it says."], choices: { x: [PARAMETERS, EPOCHS, QUALITY], y: [ACCURACY], series: [SERIES] },
  lines: [line("logit", [point(1, 1000, 0.6), point(2, 40_000, 0.8)], [[1, 2]]), line("feature_only", [point(0, 1000, 0.55, null)]), line("simkd", [])],
  ...more,
});

let answer: Figure;
let asked: URLSearchParams[] = [];
beforeEach(() => {
  Object.assign(URL, { createObjectURL: () => "blob:x", revokeObjectURL: () => undefined });
  asked = [];
  answer = made({});
  vi.stubGlobal("Request", Absolute);
  vi.stubGlobal("fetch", async (request: Request) => {
    const { searchParams } = new URL(request.url);
    asked.push(searchParams);
    return new Response(JSON.stringify(answer), { status: 200, headers: { "Content-Type": "application/json" } });
  });
});
afterEach(() => {
  vi.unstubAllGlobals();
  window.history.pushState(null, "", "/ui/");
});

const shown = () => render(<FigureCard study="stu_1" name="ours" interval={null} happened={0} />);
const plot = () => screen.findByRole("application", { name: "ours: accuracy against parameters of the student" });

test("points with intervals in series, joined where the service says so", async () => {
  shown();
  const chart = await plot();
  expect([...chart.querySelectorAll("[data-series]")].map((each) => each.getAttribute("data-series"))).toEqual(["logit", "feature_only"]);
  expect([...chart.querySelectorAll("[data-configuration]")].map((each) => each.getAttribute("data-configuration"))).toEqual(["1", "2", "0"]);
  expect([...chart.querySelectorAll("[data-interval]")].map((each) => each.getAttribute("data-interval"))).toEqual(["1", "2"]); // the base job has one seed
  expect([...chart.querySelectorAll("[data-joined]")].map((each) => each.getAttribute("data-joined"))).toEqual(["1,2"]);
  const colours = [1, 0].map((number) => chart.querySelector(`[data-configuration="${number}"] path`));
  expect(colours[0]?.getAttribute("d")).not.toBe(colours[1]?.getAttribute("d")); // by marker too
  expect(colours[0]?.getAttribute("fill")).not.toBe(colours[1]?.getAttribute("stroke"));
  expect(screen.getByText("What it says.")).toBeTruthy();
});

test("arrow keys read the points from left to right, and Enter leads to the job", async () => {
  shown();
  (await plot()).focus();
  const user = userEvent.setup();
  await user.keyboard("{ArrowRight}");
  expect(screen.getByText("Base job, recipe feature_only: parameters of the student 1000, accuracy 0.55, 1 seed.")).toBeTruthy();
  await user.keyboard("{End}");
  expect(screen.getByText(/^Configuration 2, recipe logit: .* accuracy 0.8 \(0.79 to 0.81\), 3 seeds\.$/)).toBeTruthy();
  await user.keyboard("{Enter}");
  expect(window.location.pathname).toBe("/ui/jobs/job_2");
});

test("the table has the points, single seeds in words, and names what is left out", async () => {
  answer = made({ lines: [line("logit", [point(1, 1000, 0.6, 0.01, { unused: { diverged: 1 } }), point(2, 40_000, 0.8, null), point(3, 40_000, 0.8, null, { n: 2 })])], left_out: [out(4, { diverged: 2, at_chance: 1 }), out(5, {}, "no_number")] });
  shown();
  await plot();
  expect(screen.queryByRole("group", { name: "The figure as a table" })).toBeNull();
  await userEvent.setup().click(screen.getByText("As a table"));
  const rows = within(await screen.findByRole("group", { name: "The figure as a table" })).getAllByRole("row").map((row) => [...row.children].map((cell) => cell.textContent?.trim()));
  expect(rows[1]?.slice(1)).toEqual(["logit", "1000", "0.6", "0.59 to 0.61", "3", "1 diverged"]);
  expect([rows[2]?.[4], rows[3]?.[4]]).toEqual(["none: one seed", "none: its seeds coincide"]);
  expect(rows[4]).toEqual(["4 recipe simkd", "Left out: no run ended with a value", "2 diverged, 1 at chance"]);
  expect(rows[5]?.[1]).toBe("Left out: no number across");
});

test("what is chosen is asked for, and comes as CSV too", async () => {
  shown();
  await plot();
  const user = userEvent.setup();
  await user.selectOptions(screen.getByLabelText("Series"), "none");
  answer = made({ x: EPOCHS, series: null, lines: [line("", [point(1, 3, 0.6), point(2, 9, 0.7)], [[1, 2]])] });
  await user.selectOptions(screen.getByLabelText("Across (x)"), "/config/epochs");
  const chart = await screen.findByRole("application", { name: "ours: accuracy against epochs" });
  expect(chart.querySelector("[data-series]")).toBeNull();
  expect(asked.map((each) => Object.fromEntries(each))).toEqual([{}, { series: "none" }, { series: "none", x: "/config/epochs" }]);
  const followed = vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(function (this: HTMLAnchorElement) {
    asked.push(new URL(this.href).searchParams);
  });
  await user.click(screen.getByRole("button", { name: "CSV" }));
  expect(Object.fromEntries(asked.at(-1) ?? [])).toEqual({ format: "csv", x: "/config/epochs", y: "accuracy", series: "none" });
  followed.mockRestore();
});

test("layers are named beside their points", async () => {
  answer = made({ x: QUALITY, series: null, lines: [{ ...line("", [point(1, 1.2, 0.6, null, { layer: "layer1.0" }), point(2, 2, 0.8, null, { layer: "layer4.2" })]), rank_correlation: 1 }] });
  shown();
  const chart = await screen.findByRole("application", { name: "ours: accuracy against quality Q of the layer" });
  expect(within(chart).getByText("layer4.2")).toBeTruthy();
  chart.focus();
  await userEvent.setup().keyboard("{ArrowRight}");
  expect(screen.getByText(/^Configuration 1: quality Q of the layer of layer1.0 1.2/)).toBeTruthy();
});

test("where there is nothing to draw, that is said, and who is left out", async () => {
  answer = made({ lines: [line("logit", [])], reading: ["There is nothing to draw."], left_out: [out(1, { diverged: 3 })] });
  shown();
  expect(await screen.findByText("There is nothing to draw.")).toBeTruthy();
  expect([screen.queryByRole("application"), screen.queryByRole("button", { name: "SVG" })]).toEqual([null, null]);
  await userEvent.setup().click(screen.getByText("As a table"));
  expect(await screen.findByText("3 diverged")).toBeTruthy();
});

test("with a key the page fetches the CSV itself, by one query", async () => {
  setApiKey("secret");
  shown();
  await plot();
  await userEvent.setup().click(screen.getByRole("button", { name: "CSV" }));
  await vi.waitFor(() => expect(Object.fromEntries(asked.at(-1) ?? [])).toMatchObject({ format: "csv", x: "parameters", redirect: "false" }));
  setApiKey("");
});

test("the picture goes out as a file that needs no stylesheet", async () => {
  const blobs: Blob[] = [];
  Object.assign(URL, { createObjectURL: (blob: Blob) => (blobs.push(blob), "blob:x"), revokeObjectURL: () => undefined });
  vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(() => undefined);
  shown();
  await plot();
  await userEvent.setup().click(screen.getByRole("button", { name: "SVG" }));
  const text = (await blobs[0]?.text()) ?? "";
  expect(text).toContain("feature_only");
  expect(text).not.toMatch(/var\(--|currentColor|class=/);
  vi.restoreAllMocks();
});

test("ticks of ratios are round and within, whatever the span", () => {
  expect(logTicks(900, 420_000, 6)).toEqual([1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000]);
  expect(logTicks(900, 420_000, 3)).toEqual([1000, 10_000, 100_000]);
  expect(logTicks(2, 60, 6)).toEqual([2, 5, 10, 20, 50]);
  expect(logTicks(1000, 4000, 4)).toEqual([1000, 2000, 3000, 4000]);
  expect(logTicks(1e-6, 1e9, 4).length).toBeLessThanOrEqual(6);
  expect([0, 0.0001, 0.25, 20_000, 1_500_000].map(compact)).toEqual(["0", "1e-4", "0.25", "20 k", "1.5 M"]);
});
