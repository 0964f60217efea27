import { render, screen, within } from "@testing-library/react";
import { expect, test } from "vitest";

import { emptyHistory } from "../live/history";
import { job } from "../testing/samples";
import { ChoiceCard } from "./ChoiceCard";
import { Phases } from "./Phases";

const CHOICE = {
  recipe: "logit",
  reason: "logit: the best of 2 recipes.",
  metric: { label: "accuracy", unit: "share" },
  minutes: 10,
  seconds: 60,
  rungs: [16, 48],
  table: [
    { recipe: "logit", values: [0.5, 0.75], note: "" },
    { recipe: "dkd", values: [0.25], note: "" },
    { recipe: "simkd", values: [], note: "It needs other layers." },
  ],
};

test("a chosen recipe shows its table and the reason", () => {
  render(<ChoiceCard job={job({ choice: CHOICE })} />);
  expect(screen.getByText(CHOICE.reason)).toBeTruthy();
  const cells = screen.getAllByRole("row").map((row) => within(row).queryAllByRole("cell").map(({ textContent }) => textContent));
  expect(cells.slice(1)).toEqual([
    ["logit", "50.00 %", "75.00 %", "chosen"],
    ["dkd", "25.00 %", "–", ""],
    ["simkd", "–", "–", "It needs other layers."],
  ]);
});

test("a named recipe has none", () => {
  const { container } = render(<ChoiceCard job={job({ choice: null })} />);
  expect(container.textContent).toBe("");
});

test("the phase of choosing is shown to those who left it open", () => {
  const names = (recipe: string): (string | null)[] => {
    const { unmount } = render(<Phases job={job({ recipe, phase: "choosing" })} history={emptyHistory()} scores />);
    const found = screen.getAllByRole("listitem").map((item) => item.querySelector(".phase-name")?.textContent ?? null);
    unmount();
    return found;
  };
  expect(names("auto").slice(0, 3)).toEqual(["fetching", "choosing", "scoring"]);
  expect(names("logit")).not.toContain("choosing");
});
