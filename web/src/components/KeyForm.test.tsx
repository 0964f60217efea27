import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, expect, test, vi } from "vitest";

import { apiKey } from "../api/key";
import { KeyForm } from "./KeyForm";

afterEach(() => vi.unstubAllGlobals());

test("a key that no header can carry is refused here, and not kept: every later request would fail of it", async () => {
  const fetch = vi.fn();
  vi.stubGlobal("fetch", fetch);
  render(<KeyForm />);
  await userEvent.type(screen.getByLabelText("API key"), "ключ{Enter}");
  expect(screen.getByRole("alert").textContent).toContain("A key has only letters, digits and signs of ASCII");
  expect(apiKey()).toBe("");
  expect(fetch).not.toHaveBeenCalled();
});
