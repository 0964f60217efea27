import { render, screen } from "@testing-library/react";
import { expect, test } from "vitest";
import { Isolation } from "./Isolation";

test("a worker whose trainers are held says by what", () => {
  render(<Isolation isolation={{ complete: true, trainers: "landlock 7, seccomp", problems: [] }} />);
  expect(screen.getByText("isolated")).toBeTruthy();
  expect(screen.getByText("landlock 7, seccomp")).toBeTruthy();
});

test("one whose machine refuses a layer says so and why", () => {
  render(<Isolation isolation={{ complete: false, trainers: "seccomp", problems: ["landlock: not in this kernel"] }} />);
  expect(screen.getByText("not isolated")).toBeTruthy();
  expect(screen.getByText(/landlock: not in this kernel/)).toBeTruthy();
});

test("one that has not said is no claim", () => {
  render(<Isolation isolation={null} />);
  expect(screen.getByText("not said")).toBeTruthy();
});
