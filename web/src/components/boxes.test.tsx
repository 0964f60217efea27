import { render, screen, within } from "@testing-library/react";
import { expect, test } from "vitest";

import { datasetFindings } from "../lib/report";
import { BoxCard } from "./BoxCard";

const REPORT = {
  classes: ["cat", "dog"],
  counts: { train: [5], test: [2] },
  boxes: { train: [7, 3], test: [1, 1] },
  images_with: { train: [4, 2], test: [1, 1] },
  areas: { train: { small: 1, medium: 2, large: 7 }, test: { small: 0, medium: 2, large: 0 } },
  ignored: { train: 1, test: 0 },
  background: { train: 0, test: 1 },
  most: { train: 4, test: 1 },
  faults: { clipped: 2, empty: 0, doubled: 1 },
  fault_examples: { clipped: ["a.png: box 1", "b.png: box 3"], doubled: ["a.png: box 2"] },
};

test("boxes are counted by class, by size and by what is the matter with them", () => {
  const found = datasetFindings(REPORT)!;
  expect(found.boxes!.byClass).toEqual([{ split: "train", counts: [7, 3] }, { split: "test", counts: [1, 1] }]);
  render(<BoxCard boxes={found.boxes!} />);
  const row = screen.getByRole("rowheader", { name: "train" }).closest("tr")!;
  expect(within(row).getAllByRole("cell").map((cell) => cell.textContent)).toEqual(["10", "1", "2", "7", "1", "0", "4"]);
  expect(screen.getByText(/^2 boxes ended beyond their image/)).toBeTruthy();
  expect(screen.getByText("b.png: box 3")).toBeTruthy();
  expect(screen.queryByText(/without area/)).toBeNull();
});

test("a dataset without boxes has none", () => {
  expect(datasetFindings({ classes: ["a"], counts: { train: [3] } })!.boxes).toBeNull();
});
