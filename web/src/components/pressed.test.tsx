import { render, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { Absolute } from "../testing/absolute";
import { job } from "../testing/samples";
import { Copy } from "./Copy";
import { DeleteButton } from "./DeleteButton";
import { JobActions } from "./JobActions";
import { Keys } from "./Keys";
import { Toasts } from "./Toasts";
import { Webhooks } from "./Webhooks";

/** What is pressed twice is done once; what was asked gives the focus back; what was not done is not claimed. */

const posted: string[] = [];
let release: () => void = () => {};

beforeEach(() => {
  posted.length = 0;
  vi.stubGlobal("Request", Absolute);
  vi.stubGlobal("fetch", async (request: Request) => {
    if (request.method === "POST") {
      posted.push(new URL(request.url).pathname);
      await new Promise<void>((resolve) => (release = resolve));
    }
    const made = { id: "key_1", name: "ci", key: "rt_1", url: "https://example.org/", secret: "s", events: [] };
    return new Response(JSON.stringify(request.method === "POST" ? made : { items: [], next_cursor: null }), { headers: { "Content-Type": "application/json" } });
  });
});
afterEach(() => {
  release();
  vi.unstubAllGlobals();
  Reflect.deleteProperty(document, "execCommand");
});

test("Enter twice makes one key: the secret of the first would never be seen", async () => {
  sessionStorage.setItem("retort-key", "k");
  render(<Keys />);
  await userEvent.type(screen.getByLabelText("Name of the new key"), "ci{Enter}{Enter}");
  expect(posted).toEqual(["/api-keys"]);
});

test("Enter twice adds one webhook", async () => {
  render(<Webhooks />);
  await userEvent.type(screen.getByLabelText("Address of a new webhook"), "https://example.org/{Enter}{Enter}");
  expect(posted).toEqual(["/webhooks"]);
});

test.each(["Pause", "Resume", "Retry"])("%s pressed twice is sent once", async (name) => {
  const action = name.toLowerCase();
  render(<JobActions job={job({ links: { self: "/jobs/job_01", [action]: `/jobs/job_01/${action}` } })} onChange={() => {}} onRetried={() => {}} />);
  await userEvent.dblClick(screen.getByRole("button", { name }));
  expect(posted).toEqual([`/jobs/job_01/${action}`]);
});

test("a deletion is sent once, however often it is confirmed", async () => {
  const remove = vi.fn(() => new Promise(() => {}));
  render(<DeleteButton what="key" name="ci" remove={remove} onDone={() => {}} />);
  await userEvent.click(screen.getByRole("button", { name: "Delete" }));
  const confirm = within(screen.getByRole("dialog")).getByRole("button", { name: "Delete" });
  await userEvent.dblClick(confirm);
  expect(remove).toHaveBeenCalledTimes(1);
});

test("a dialog that was confirmed gives the focus back, also where the service refused", async () => {
  render(<DeleteButton what="teacher" name="t" remove={() => Promise.reject(new Error("in use"))} onDone={() => {}} />);
  const opener = screen.getByRole("button", { name: "Delete" });
  await userEvent.click(opener);
  await userEvent.click(within(screen.getByRole("dialog")).getByRole("button", { name: "Delete" }));
  await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
  await waitFor(() => expect(document.activeElement).toBe(opener));
});

test.each([
  [true, "Copied it."],
  [false, "The browser did not let the page copy. Select the text and copy it by hand."],
])("without a clipboard: copied %s, and so it says; the focus stays", async (works, said) => {
  const user = userEvent.setup();
  Object.defineProperty(navigator, "clipboard", { value: undefined, configurable: true });
  Object.defineProperty(document, "execCommand", { value: () => works, configurable: true });
  render(
    <Toasts>
      <Copy text="x" what="it" />
    </Toasts>,
  );
  await user.click(screen.getByRole("button", { name: "Copy it" }));
  expect(await screen.findByText(said)).toBeTruthy();
  expect(document.activeElement).toBe(screen.getByRole("button", { name: "Copy it" }));
});
