import { useSyncExternalStore } from "react";

export type Choice = "system" | "light" | "dark";
export type Theme = "light" | "dark";

const NAME = "retort-theme";
const listeners = new Set<() => void>();
const media = window.matchMedia("(prefers-color-scheme: dark)");

export function choice(): Choice {
  const stored = localStorage.getItem(NAME);
  return stored === "light" || stored === "dark" ? stored : "system";
}

const resolved = (): Theme => (choice() === "system" ? (media.matches ? "dark" : "light") : (choice() as Theme));

export function apply(): void {
  document.documentElement.dataset.theme = resolved();
  for (const listener of listeners) listener();
}

export function choose(next: Choice): void {
  if (next === "system") localStorage.removeItem(NAME);
  else localStorage.setItem(NAME, next);
  apply();
}

media.addEventListener("change", apply);

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export const useTheme = (): Theme => useSyncExternalStore(subscribe, resolved);
export const useChoice = (): Choice => useSyncExternalStore(subscribe, choice);
