import { act, fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { Toasts } from "../components/Toasts";
import { Absolute } from "../testing/absolute";
import { job } from "../testing/samples";
import { Compare } from "./Compare";

/** Which jobs are compared: any that the service has, found by it. */

const JOBS = [
  job({ id: "job_new", name: "the newest", recipe: "cross_entropy" }),
  ...Array.from({ length: 120 }, (_, at) => job({ id: `job_${200 - at}`, name: `one of many ${at}`, recipe: "cross_entropy" })),
  job({ id: "job_old", name: "long ago", recipe: "cross_entropy", status: "succeeded" }),
];
let down = false;
const searches: (string | null)[] = [];

function listed(params: URLSearchParams): object {
  const words = (params.get("search") ?? "").split(" ");
  searches.push(params.get("search"));
  const found = JOBS.filter(({ name }) => words.every((word) => name.includes(word)));
  const limit = Number(params.get("limit"));
  return { items: found.slice(0, limit), next_cursor: found.length > limit ? "c" : null };
}

beforeEach(() => {
  down = false;
  searches.length = 0;
  Element.prototype.scrollIntoView = () => {};
  vi.stubGlobal("Request", Absolute);
  vi.stubGlobal("fetch", async (request: Request) => {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/jobs" && down) return new Response("{}", { status: 503, headers: { "Content-Type": "application/problem+json" } });
    const one = JOBS.find(({ id }) => pathname === `/jobs/${id}`);
    const answer = pathname === "/jobs" ? listed(searchParams) : (one ?? { items: [{ name: "cross_entropy", summary: "", needs_layers: false }] });
    return new Response(JSON.stringify(answer), { headers: { "Content-Type": "application/json" } });
  });
  window.history.replaceState(null, "", "/ui/compare?jobs=job_new");
});
afterEach(() => {
  vi.unstubAllGlobals();
  window.history.replaceState(null, "", "/ui/");
});

function page() {
  render(
    <Toasts>
      <Compare />
    </Toasts>,
  );
  return { user: userEvent.setup(), field: screen.getByRole("combobox", { name: "Add a job" }) };
}

const options = () => within(screen.getByRole("listbox", { name: "Add a job" })).getAllByRole("option");

test("a job older than the newest hundred is found by the service, and added by the keyboard alone", async () => {
  const { user, field } = page();
  await user.tab();
  while (document.activeElement !== field) await user.tab();
  await user.keyboard("long ago");
  await waitFor(() => expect(options()).toHaveLength(1));
  expect(searches.at(-1)).toBe("long ago");
  await user.keyboard("{ArrowDown}");
  const [option] = options();
  expect(option?.getAttribute("aria-selected")).toBe("true");
  expect(field.getAttribute("aria-activedescendant")).toBe(option?.id);
  await user.keyboard("{Enter}");
  expect(window.location.search).toBe("?jobs=job_new,job_old");
  expect((await screen.findAllByRole("link", { name: "long ago" })).length).toBeGreaterThan(0);
  expect((field as HTMLInputElement).value).toBe("");
});

test("what is compared already is not offered, and that there are more is said", async () => {
  const { user, field } = page();
  await user.click(field);
  await waitFor(() => expect(options().length).toBeGreaterThan(10));
  expect(screen.queryByRole("option", { name: /the newest/ })).toBeNull();
  expect(screen.getByText("Keep typing: there are more.")).toBeTruthy();
  await user.keyboard("{ArrowUp}");
  expect(options().at(-1)?.getAttribute("aria-selected")).toBe("true");
  await user.keyboard("{Escape}");
  expect(field.getAttribute("aria-expanded")).toBe("false");
});

test("nothing found, and a service that does not answer, are said", async () => {
  const { user, field } = page();
  await user.type(field, "nonsense");
  expect(await screen.findByText("No job matches.")).toBeTruthy();
  down = true;
  await user.type(field, "!");
  expect(await screen.findByText(/could not be listed/)).toBeTruthy();
});

test("an option can be picked by the pointer", async () => {
  const { user, field } = page();
  await user.type(field, "ago");
  await waitFor(() => expect(options()).toHaveLength(1));
  await act(async () => void fireEvent.pointerDown(options()[0] as Element));
  expect(window.location.search).toBe("?jobs=job_new,job_old");
});

test("Enter picks nothing that was found for other words", async () => {
  const { user, field } = page();
  await user.click(field);
  await waitFor(() => expect(options().length).toBeGreaterThan(10));
  await user.keyboard("long ago{ArrowDown}{Enter}"); // faster than the service answers
  expect(window.location.search).toBe("?jobs=job_new");
  await waitFor(() => expect(options()).toHaveLength(1));
  await user.keyboard("{ArrowDown}{Enter}");
  expect(window.location.search).toBe("?jobs=job_new,job_old");
});
