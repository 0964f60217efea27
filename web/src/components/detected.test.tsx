import { fireEvent, render, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, test } from "vitest";

import { readPrecision, readWorst } from "../api/detected";
import { layer } from "../testing/samples";
import { CurveTable } from "./CurveCard";
import { PrecisionCard } from "./PrecisionCard";
import { WorstCard } from "./WorstCard";

const WORST = {
  classes: ["cat", "dog"],
  colours: ["#ff0000", "#00ff00"],
  tested: 40,
  sheet: [1280, 320],
  score: 0.3,
  images: [
    {
      name: "a.png", width: 640, height: 480, place: [320, 0, 320, 240], f1: 0.25, found: 1, missed: 2, wrong: 4,
      boxes: { truth: [[64, 48, 128, 96, 1, 0], [0, 0, 10, 10, 0, 1]], teacher: [[60, 48, 128, 96, 1, 0.9]], student: [[64, 48, 100, 96, 0, 0.5], [0, 0, 5, 5, 0, 0.1]] },
    },
  ],
}; // prettier-ignore
const RECALL = Array.from({ length: 101 }, (_, at) => at / 100);
const flat = (value: number): number[] => RECALL.map(() => value);
const network = (value: number) => ({ mean: { "0.50": flat(value), "0.75": flat(value / 2) }, per_class: { cat: { "0.50": flat(value + 0.1), "0.75": flat(value) }, dog: null } });
const PRECISION = { recall: RECALL, networks: { teacher: network(0.8), student: network(0.6) } };

test("boxes lie on the image's part of the sheet, in its pixels", () => {
  const { container } = render(<WorstCard worst={readWorst(WORST)!} picture="blob:sheet" />);
  const panes = container.querySelectorAll(".panes svg");
  expect([...panes].map((pane) => pane.getAttribute("viewBox"))).toEqual(Array(3).fill("320 0 320 240"));
  const box = panes[0]!.querySelector("rect.box")!;
  expect(["x", "y", "width", "height", "stroke"].map((name) => box.getAttribute(name))).toEqual(["352", "24", "32", "24", "#00ff00"]);
  expect(panes[0]!.querySelectorAll("rect.box")[1]!.getAttribute("stroke-dasharray")).toBe("4 3"); // ignored
  expect(screen.getByText(/F1 25 %: 1 found, 2 missed, 4 wrong/)).toBeTruthy();
});

test("the slider decides which boxes of the networks are shown, in pictures and table", () => {
  render(<WorstCard worst={readWorst(WORST)!} picture="blob:sheet" />);
  expect(screen.getByRole("img", { name: "a.png: Student, 1 box" })).toBeTruthy();
  const slider = screen.getByRole("slider");
  fireEvent.change(slider, { target: { value: "0.05" } });
  expect(screen.getByRole("img", { name: "a.png: Student, 2 boxes" })).toBeTruthy();
  fireEvent.change(slider, { target: { value: "0.95" } });
  expect(screen.getByRole("img", { name: "a.png: Student, 0 boxes" })).toBeTruthy();
  expect(screen.getByRole("img", { name: "a.png: Labels, 2 boxes" })).toBeTruthy();
  const rows = within(screen.getByRole("group", { name: "Boxes of a.png", hidden: true })).getAllByRole("row", { hidden: true });
  expect(rows).toHaveLength(3); // its head and the labels
});

test("precision by class and overlap, as a picture that arrow keys walk along and as a table", async () => {
  render(<PrecisionCard found={readPrecision(PRECISION)!} />);
  const user = userEvent.setup();
  expect(screen.getByText(/Teacher: AP 80\.0 %, Student: AP 60\.0 %/)).toBeTruthy();
  screen.getByRole("application").focus();
  await user.keyboard("{ArrowRight}{ArrowRight}");
  expect(screen.getByText("Recall 0.05: Teacher precision 0.800, Student precision 0.600.")).toBeTruthy();
  await user.keyboard("{End}");
  expect(screen.getByText(/^Recall 1:/)).toBeTruthy();
  expect(screen.queryByRole("option", { name: "dog" })).toBeNull(); // no object, no curve
  await user.selectOptions(screen.getByLabelText("Class"), "cat");
  await user.selectOptions(screen.getByLabelText("Overlap (IoU)"), "0.75");
  await user.click(screen.getByRole("button", { name: "As a table" }));
  const row = screen.getByRole("rowheader", { name: "50 %" }).closest("tr")!;
  expect(within(row).getAllByRole("cell").map((cell) => cell.textContent)).toEqual(["80.0 %", "60.0 %"]);
});

test("files of another form show nothing", () => {
  expect([readWorst({}), readWorst(null), readWorst({ images: [{}] })]).toEqual([null, null, null]);
  expect([readPrecision({}), readPrecision([]), readPrecision({ recall: [0], networks: {} })]).toEqual([null, null, null]);
});

test("the curve's table tells how many samples a layer is scored on, where layers have their own", () => {
  const layers = [{ ...layer(0, 2), samples: null }, { ...layer(1, 2), samples: 120 }];
  const { rerender } = render(<CurveTable layers={layers} chosen={[1]} samples={300} />);
  expect(screen.getByRole("columnheader", { name: "Samples" })).toBeTruthy();
  expect(screen.getAllByRole("row").slice(1).map((row) => within(row).getAllByRole("cell").at(-2)?.textContent)).toEqual(["300", "120"]);
  rerender(<CurveTable layers={[layer(0, 2)]} chosen={[]} samples={300} />);
  expect(screen.queryByRole("columnheader", { name: "Samples" })).toBeNull();
});
