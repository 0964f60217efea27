import { type ReactNode, useEffect, useRef } from "react";

import { contactStore } from "../api/contact";
import { useContact, useNow } from "../hooks/useNow";
import { ago, duration } from "../lib/format";
import { BASE, Link, navigate, usePlace } from "../router";
import { type Choice, choose, useChoice } from "../theme";
import { Icon } from "./Icon";
import { KeyForm } from "./KeyForm";

const PAGES: [string, string][] = [
  ["/", "Jobs"],
  ["/studies", "Studies"],
  ["/compare", "Compare"],
  ["/datasets", "Datasets"],
  ["/teachers", "Teachers"],
  ["/system", "System"],
];

export function Shell({ children }: { children: ReactNode }) {
  const { path } = usePlace();
  const { needsKey } = useContact();
  useShortcuts();
  return (
    <>
      <a className="skip" href="#main">
        Skip to content
      </a>
      <header className="top">
        <Link to="/" className="brand">
          <Mark />
          Retort
        </Link>
        <nav aria-label="Pages">
          {PAGES.map(([to, name]) => (
            <Link key={to} to={to} aria-current={isHere(path, to) ? "page" : undefined}>
              {name}
            </Link>
          ))}
        </nav>
        <div className="row top-end">
          <Connection />
          <ThemeSwitch />
          <Link to="/new" className="button primary new-job" aria-current={path === "/new" ? "page" : undefined}>
            <Icon name="plus" size={16} /> New job
          </Link>
        </div>
      </header>
      <main id="main">{needsKey ? <KeyForm /> : children}</main>
    </>
  );
}

const isHere = (path: string, to: string): boolean => (to === "/" ? path === "/" || path.startsWith("/jobs/") : path.startsWith(to));

function Mark() {
  return <img src={`${BASE}/retort.svg`} width={36} height={28} alt="" />;
}

/** Whether the service answers, told by its last answer and not by hope. */
function Connection() {
  const { lastAnswer, failingSince } = useContact();
  const now = useNow();
  const here = now - contactStore.read().clockOffset;
  if (failingSince !== null && here - failingSince > 1500) {
    const heard = lastAnswer === null ? "never answered" : `last answer ${ago(lastAnswer, here)}`;
    return (
      <span className="connection bad" role="status">
        <span className="dot" aria-hidden="true" /> Not reachable for {duration((here - failingSince) / 1000)}, {heard}
      </span>
    );
  }
  if (lastAnswer === null) return <span className="connection">Connecting…</span>;
  return (
    <span className="connection good" title={`Last answer ${ago(lastAnswer, here)}`}>
      <span className="dot" aria-hidden="true" />
      <span>Connected</span>
    </span>
  );
}

const NEXT: Record<Choice, Choice> = { system: "light", light: "dark", dark: "system" };
const ICONS = { system: "auto", light: "sun", dark: "moon" };

function ThemeSwitch() {
  const current = useChoice();
  return (
    <button type="button" className="button ghost icon-only" onClick={() => choose(NEXT[current])} aria-label={`Colours: ${current}. Change to ${NEXT[current]}`} title={`Colours: ${current}`}>
      <Icon name={ICONS[current]} />
    </button>
  );
}

const KEYS: Record<string, string> = { j: "/", n: "/new", c: "/compare", d: "/datasets", t: "/teachers", s: "/system" };

/** `g` then a letter goes to a page; `/` to the page's search. */
function useShortcuts(): void {
  const pending = useRef(0);
  useEffect(() => {
    function key(event: KeyboardEvent): void {
      const target = event.target as HTMLElement;
      if (event.ctrlKey || event.metaKey || event.altKey || target.closest("input, textarea, select, dialog")) return;
      const search = document.querySelector<HTMLElement>("[data-search]");
      if (event.key === "/" && search) {
        event.preventDefault();
        search.focus();
      } else if (event.key === "g") {
        pending.current = Date.now();
      } else if (Date.now() - pending.current < 1200) {
        pending.current = 0;
        const to = KEYS[event.key];
        if (to) navigate(to);
      }
    }
    document.addEventListener("keydown", key);
    return () => document.removeEventListener("keydown", key);
  }, []);
}
