import { type AnchorHTMLAttributes, type MouseEvent, useSyncExternalStore } from "react";

/** Pages live under /ui/, because API paths such as /jobs are taken (docs/decisions/0009). */
export const BASE = "/ui";

export interface Place {
  path: string;
  query: URLSearchParams;
}

const listeners = new Set<() => void>();
let cached: { href: string; place: Place } | null = null;

function read(): Place {
  const href = window.location.pathname + window.location.search;
  if (cached?.href !== href) {
    const path = window.location.pathname.replace(new RegExp(`^${BASE}`), "") || "/";
    cached = { href, place: { path, query: new URLSearchParams(window.location.search) } };
  }
  return cached.place;
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  window.addEventListener("popstate", listener);
  return () => {
    listeners.delete(listener);
    window.removeEventListener("popstate", listener);
  };
}

let moved = false;
window.addEventListener("popstate", () => (moved = true));

/** Whether a page was reached from within; the first one keeps the browser's own focus, so that Tab finds the skip link. */
export const hasMoved = (): boolean => moved;

export const usePlace = (): Place => useSyncExternalStore(subscribe, read);

export function navigate(to: string, options: { replace?: boolean } = {}): void {
  moved = true;
  window.history[options.replace ? "replaceState" : "pushState"](null, "", BASE + to);
  if (!options.replace) window.scrollTo(0, 0);
  for (const listener of listeners) listener();
}

/** The parameters of `path` if it has the shape of `pattern` (`/jobs/:id`), and can be decoded. */
export function match(pattern: string, path: string): Record<string, string> | null {
  const want = pattern.split("/");
  const have = path.replace(/\/+$/, "").split("/");
  if (path === "/" ? pattern !== "/" : want.length !== have.length) return null;
  const found: Record<string, string> = {};
  for (const [index, part] of want.entries()) {
    const given = have[index] ?? "";
    if (part.startsWith(":")) {
      const text = decoded(given);
      if (text === null) return null;
      found[part.slice(1)] = text;
    } else if (part !== given) return null;
  }
  return found;
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null; // "%" that escapes nothing: no address of ours
  }
}

interface LinkProps extends Omit<AnchorHTMLAttributes<HTMLAnchorElement>, "href"> {
  to: string;
}

export function Link({ to, onClick, ...rest }: LinkProps) {
  function click(event: MouseEvent<HTMLAnchorElement>): void {
    onClick?.(event);
    const ours = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (event.defaultPrevented || !ours) return;
    event.preventDefault();
    navigate(to);
  }
  return <a href={BASE + to} onClick={click} {...rest} />;
}
