import { type KeyboardEvent, useEffect, useId, useState } from "react";

import { api, unwrap } from "../api/client";
import type { ArchitectureEntry } from "../api/types";
import { type Subject, subjectOfArchitecture } from "../lib/subject";

interface Props {
  label: string;
  value: string;
  error?: string;
  /** Only names for this kind of data are offered; null: any. */
  subject?: Subject | null;
  onChange: (name: string) => void;
}

const SHOWN = 40;

/** A combobox over the service's catalogue, searched by the service (WAI-ARIA: list autocomplete, manual selection). */
export function ArchitecturePicker({ label, value, error, subject = null, onChange }: Props) {
  const id = useId();
  const [open, setOpen] = useState(false);
  const [at, setAt] = useState(-1);
  const [found, setFound] = useState<ArchitectureEntry[]>([]);
  const [more, setMore] = useState(false);

  useEffect(() => {
    if (!open) return undefined;
    let gone = false;
    const timer = setTimeout(() => {
      unwrap(api.GET("/catalogue/architectures", { params: { query: { search: value || (subject === "texts" ? "transformers:" : undefined), limit: SHOWN } } }))
        .then((page) => {
          if (gone) return;
          setFound(page.items.filter(({ name }) => !subject || subjectOfArchitecture(name) === subject));
          setMore(Boolean(page.next_cursor));
          setAt(-1);
        })
        .catch(() => setFound([])); // the name can still be typed; the service checks it on submit
    }, 150);
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [value, open, subject]);

  function pick(name: string): void {
    onChange(name);
    setOpen(false);
  }

  function key(event: KeyboardEvent): void {
    if (event.key === "Escape") return setOpen(false);
    if (event.key === "Enter" && open && found[at]) {
      event.preventDefault();
      return pick(found[at].name);
    }
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return undefined;
    event.preventDefault();
    setOpen(true);
    const step = event.key === "ArrowDown" ? 1 : -1;
    setAt((old) => (found.length === 0 ? -1 : (old + step + found.length) % found.length));
    return undefined;
  }

  useEffect(() => {
    document.getElementById(`${id}-${at}`)?.scrollIntoView({ block: "nearest" });
  }, [id, at]);

  return (
    <div className="field combo">
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        role="combobox"
        aria-expanded={open}
        aria-controls={`${id}-list`}
        aria-autocomplete="list"
        aria-activedescendant={open && at >= 0 ? `${id}-${at}` : undefined}
        aria-invalid={error ? true : undefined}
        autoComplete="off"
        spellCheck={false}
        value={value}
        placeholder={subject === "texts" ? "transformers:auto" : "Search: resnet, mobilenet, vit…"}
        onFocus={() => setOpen(true)}
        onBlur={() => setTimeout(() => setOpen(false), 120)}
        onChange={(event) => {
          onChange(event.target.value);
          setOpen(true);
        }}
        onKeyDown={key}
      />
      <ul id={`${id}-list`} role="listbox" aria-label={label} hidden={!open || found.length === 0}>
        {found.map((entry, index) => (
          <li
            key={entry.name}
            id={`${id}-${index}`}
            role="option"
            aria-selected={index === at}
            onPointerDown={(event) => {
              event.preventDefault();
              pick(entry.name);
            }}
          >
            <span>{entry.name}</span>
            {typeof entry.family === "string" && <span className="muted small">{entry.family}</span>}
          </li>
        ))}
        {more && (
          <li role="presentation" className="muted small more">
            Keep typing: there are more.
          </li>
        )}
      </ul>
      {error && <p className="help error">{error}</p>}
    </div>
  );
}
