import { cleanup, configure } from "@testing-library/react";
import { afterEach, beforeEach } from "vitest";

// What jsdom lacks and the page needs. Tests that run in node have no window and need none of it.
class NoResize {
  observe(): void {}
  unobserve(): void {}
  disconnect(): void {}
}

// A component may take so long on a machine that is busy; what never comes is still an error.
configure({ asyncUtilTimeout: 20_000 });

if (typeof window !== "undefined") {
  globalThis.ResizeObserver ??= NoResize as unknown as typeof ResizeObserver;
  window.matchMedia ??= ((query: string) => ({ matches: false, media: query, addEventListener() {}, removeEventListener() {} })) as unknown as typeof window.matchMedia;
  window.scrollTo = () => {};
  HTMLDialogElement.prototype.showModal ??= function show() {
    this.open = true;
  };
  HTMLDialogElement.prototype.close ??= function close() {
    this.open = false;
    this.dispatchEvent(new Event("close"));
  };
  beforeEach(() => {
    localStorage.clear();
    sessionStorage.clear();
  });
  afterEach(cleanup);
}
