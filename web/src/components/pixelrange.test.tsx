import { fireEvent, render, screen } from "@testing-library/react";
import { expect, test, vi } from "vitest";

import { PixelRangeField, readRange } from "./PixelRange";

test.each([
  ["", "4095", [0, 4095]],
  ["10", " 65535 ", [10, 65535]],
  ["", "", null],
  ["5", "5", null],
  ["0", "70000", null],
  ["-1", "4095", null],
  ["0", "1.5", null],
  ["a", "4095", null],
])("%s to %s is %s", (low, high, range) => {
  expect(readRange(low, high)).toEqual(range);
});

test("a range is told as it is typed, and what is none is said", () => {
  const onRange = vi.fn();
  render(<PixelRangeField onRange={onRange} />);
  fireEvent.change(screen.getByLabelText("Value that is white"), { target: { value: "4095" } });
  expect(onRange).toHaveBeenLastCalledWith([0, 4095]);
  fireEvent.change(screen.getByLabelText("Value that is black"), { target: { value: "5000" } });
  expect(onRange).toHaveBeenLastCalledWith(null);
  expect(screen.getByRole("alert")).toBeTruthy();
});
