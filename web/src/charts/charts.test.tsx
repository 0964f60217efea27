import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, test } from "vitest";

import { merge, metricsCsv } from "../components/TrainingCharts";
import { add, emptyHistory } from "../live/history";
import { event, layer } from "../testing/samples";
import { task } from "../testing/tasks";
import { palette } from "./palette";
import { QCurve, spoken } from "./QCurve";
import { QCurvePicture, segments } from "./QCurvePicture";
import { extent, ticks } from "./scale";
import { summary } from "./TimeChart";

const LAYERS = [0, 1, 3].map((index) => layer(index, 5, 1 + index / 10));

test("no line is drawn across a layer that is not scored yet", () => {
  expect(segments(LAYERS).map((run) => run.map(({ index }) => index))).toEqual([[0, 1], [3]]);
});

test("the picture names the chosen layers and stands on its own", () => {
  const { container } = render(<QCurvePicture layers={LAYERS} totalLayers={5} chosen={[1, 3]} width={800} palette={palette("light")} active={null} title="Q curve" />);
  const svg = container.querySelector("svg");
  expect(svg?.textContent).toContain("block.1");
  expect(svg?.textContent).toContain("block.3");
  expect(svg?.textContent).not.toContain("block.0");
  expect(svg?.outerHTML).not.toMatch(/class=|var\(/); // no stylesheet needed
});

test("arrow keys walk along the layers and say where they are", async () => {
  render(<QCurve layers={LAYERS} totalLayers={5} chosen={[1]} title="Q curve of a job" />);
  const user = userEvent.setup();
  await user.tab();
  expect(document.activeElement).toBe(screen.getByRole("application"));
  await user.keyboard("{ArrowRight}{ArrowRight}");
  expect(screen.getByText(/^Layer 1, block\.1, BasicBlock: Q 1\.1, S 0\.21, I 1, E 0\.8\. Chosen\.$/)).toBeTruthy();
  await user.keyboard("{End}");
  expect(screen.getByText(/^Layer 3/)).toBeTruthy();
  await user.keyboard("{Escape}");
  expect(screen.queryByText(/^Layer/)).toBeNull();
});

test("a layer in words", () => {
  expect(spoken(layer(2, 4), false)).toBe("Layer 2, block.2, BasicBlock: Q 1, S 0.22, I 1, E 0.8.");
});

test("axes", () => {
  expect(ticks(0, 1, 5)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
  expect(ticks(1.05, 1.32, 5)).toEqual([1.1, 1.2, 1.3]);
  expect([extent([]), extent([NaN, 2]), extent([0, 10], 0.1)]).toEqual([[0, 1], [1.84, 2.16], [-1, 11]]);
});

test("training and validation share one axis of steps", () => {
  const history = emptyHistory();
  const metrics = (seq: number, split: string, step: number, accuracy: number): boolean => add(history, event(seq, "metrics", { split, step, values: { accuracy } }));
  metrics(1, "train", 10, 0.1);
  metrics(2, "train", 20, 0.2);
  metrics(3, "validation", 15, 0.15);
  metrics(4, "validation", 20, 0.25);
  const { step, series } = merge(history.metrics.get("train"), history.metrics.get("validation"), task("classify_images").metrics);
  expect(step).toEqual([10, 15, 20]);
  expect(series.map(({ name, values }) => [name, values])).toEqual([
    ["validation accuracy", [null, 0.15, 0.25]],
    ["training accuracy", [0.1, null, 0.2]],
  ]);
  expect(metricsCsv(history).split("\r\n").slice(0, 2)).toEqual(["split,step,accuracy", "train,10,0.1"]);
  expect(summary(step, series)).toContain("validation accuracy 0.25 at step 20");
});

test("a name longer than the picture is wide keeps its end, inside the picture", () => {
  const long = { ...layer(0, 2), name: "encoder.layers.0.self_attention.block.residual" };
  const { container } = render(<QCurvePicture layers={[long]} totalLayers={2} chosen={[0]} width={284} palette={palette("light")} active={null} title="t" />);
  const shown = [...container.querySelectorAll("text")].find((each) => each.textContent?.includes("residual"));
  const half = ((shown?.textContent?.length ?? 0) * 6.6) / 2;
  expect(Number(shown?.getAttribute("x")) - half).toBeGreaterThanOrEqual(0);
  expect(shown?.textContent).toMatch(/^….*block\.residual$/);
});
