import { fireEvent, render, screen } from "@testing-library/react";
import { useState } from "react";
import { expect, test } from "vitest";
import { TASKS } from "../testing/tasks";
import { BoxFormatField } from "./BoxFormat";

function Form({ task, onFormat }: { task: string; onFormat: (format: string) => void }) {
  const [format, setFormat] = useState("");
  const change = (made: string) => {
    setFormat(made);
    onFormat(made);
  };
  return <BoxFormatField tasks={TASKS} task={task} value={format} onChange={change} />;
}

test("what the numbers of a box are is one word of a way and a unit", () => {
  const seen: string[] = [];
  render(<Form task="" onFormat={(format) => seen.push(format)} />);
  const [way, unit] = screen.getAllByRole<HTMLSelectElement>("combobox", { hidden: true });
  expect(unit!.disabled).toBe(true);
  fireEvent.change(way!, { target: { value: "cxcywh" } });
  fireEvent.change(unit!, { target: { value: "_relative" } });
  fireEvent.change(way!, { target: { value: "xywh" } });
  fireEvent.change(way!, { target: { value: "" } });
  expect(seen).toEqual(["cxcywh", "cxcywh_relative", "xywh_relative", ""]);
});

test("tasks without boxes have no such field", () => {
  render(<Form task="classify_images" onFormat={() => {}} />);
  expect(screen.queryByRole("combobox", { hidden: true })).toBeNull();
});
