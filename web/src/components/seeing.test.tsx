import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { useState } from "react";
import { expect, test } from "vitest";

import { told, unreadable, UNTOLD } from "../lib/seeing";
import { SeeingFields } from "./Seeing";

test("what was typed becomes the fields of the service, and nothing is sent where nothing was told", () => {
  expect(told(UNTOLD)).toBeNull();
  const seen = { mean: "0.4, 0.5 0.6", std: "0.2,0.2,0.2", input_size: "32", interpolation: "bicubic", crop_pct: "0.9", channel_order: "BGR" };
  expect(told(seen)).toEqual({ mean: [0.4, 0.5, 0.6], std: [0.2, 0.2, 0.2], input_size: 32, interpolation: "bicubic", crop_pct: 0.9, channel_order: "BGR" });
  expect(told({ ...UNTOLD, input_size: "360 x 480" })).toEqual({ input_size: [360, 480] });
});

test.each([
  [{ mean: "0.4, 0.5" }, /three numbers/],
  [{ std: "a, b, c" }, /three numbers/],
  [{ mean: "123.7, 116.3, 103.5" }, /divide/],
  [{ input_size: "large" }, /pixels/],
  [{ crop_pct: "87.5" }, /share/],
])("%o cannot be read, and the form says how it could", (typed, words) => {
  expect(unreadable({ ...UNTOLD, ...typed })).toMatch(words);
  expect(unreadable(UNTOLD)).toBe("");
});

test("the fields are labelled, and a wrong one is an alert", async () => {
  function Form() {
    const [seen, setSeen] = useState(UNTOLD);
    return <SeeingFields seen={seen} onChange={setSeen} />;
  }
  render(<Form />);
  await userEvent.type(screen.getByLabelText("Standard deviation"), "57");
  expect(screen.getByRole("alert").textContent).toMatch(/divide/);
  await userEvent.selectOptions(screen.getByLabelText("Channel order"), "BGR");
  expect(screen.getByLabelText<HTMLSelectElement>("Channel order").value).toBe("BGR");
});
