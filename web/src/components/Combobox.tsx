import { type KeyboardEvent, type ReactNode, useEffect, useId, useState } from "react";

export interface Found<T> {
  items: T[];
  /** There are more than these. */
  more: boolean;
}

interface Props<T> {
  label: string;
  hiddenLabel?: boolean;
  value: string;
  error?: string;
  placeholder: string;
  onChange: (text: string) => void;
  /** Asks the service; a new function means that the question is another. */
  search: (text: string) => Promise<Found<T>>;
  idOf: (item: T) => string;
  children: (item: T) => ReactNode;
  onPick: (item: T) => void;
  /** What the list says where nothing was found, or asking failed; without it there is no list then. */
  nothing?: (failed: boolean) => string;
}

/** A text field with what the service finds for it (WAI-ARIA: list autocomplete, manual selection). */
export function Combobox<T>({ label, hiddenLabel, value, error, placeholder, onChange, search, idOf, children, onPick, nothing }: Props<T>) {
  const id = useId();
  const [open, setOpen] = useState(false);
  const [at, setAt] = useState(-1);
  const [found, setFound] = useState<(Found<T> & { failed: boolean; of: string }) | null>(null);
  const items = found?.items ?? [];
  const current = found?.of === value; // what is shown may still be what earlier words found

  useEffect(() => {
    if (!open) return undefined;
    let gone = false;
    const show = (next: Found<T>, failed: boolean): void => {
      if (gone) return;
      setFound({ ...next, failed, of: value });
      setAt(-1);
    };
    const timer = setTimeout(() => {
      search(value).then(
        (next) => show(next, false),
        () => show({ items: [], more: false }, true),
      );
    }, 150);
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [value, open, search]);

  function pick(item: T): void {
    onPick(item);
    setOpen(false);
  }

  function key(event: KeyboardEvent): void {
    if (event.key === "Escape") return setOpen(false);
    const chosen = current ? items[at] : undefined;
    if (event.key === "Enter" && open && chosen !== undefined) {
      event.preventDefault();
      return pick(chosen);
    }
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return undefined;
    event.preventDefault();
    setOpen(true);
    const step = event.key === "ArrowDown" ? 1 : -1;
    setAt((old) => (items.length === 0 || !current ? -1 : old < 0 && step < 0 ? items.length - 1 : (old + step + items.length) % items.length));
    return undefined;
  }

  useEffect(() => {
    document.getElementById(`${id}-${at}`)?.scrollIntoView({ block: "nearest" });
  }, [id, at]);

  const empty = found && items.length === 0 && nothing ? nothing(found.failed) : "";
  return (
    <div className="field combo">
      <label htmlFor={id} className={hiddenLabel ? "visually-hidden" : undefined}>
        {label}
      </label>
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
        placeholder={placeholder}
        onFocus={() => setOpen(true)}
        onBlur={() => setTimeout(() => setOpen(false), 120)}
        onChange={(event) => {
          onChange(event.target.value);
          setOpen(true);
        }}
        onKeyDown={key}
      />
      <ul id={`${id}-list`} role="listbox" aria-label={label} hidden={!open || items.length === 0}>
        {items.map((item, index) => (
          <li
            key={idOf(item)}
            id={`${id}-${index}`}
            role="option"
            aria-selected={index === at}
            onPointerDown={(event) => {
              event.preventDefault();
              pick(item);
            }}
          >
            {children(item)}
          </li>
        ))}
        {found?.more && (
          <li role="presentation" className="muted small more">
            Keep typing: there are more.
          </li>
        )}
      </ul>
      {nothing && (
        <p className={open && empty ? "muted small" : "visually-hidden"} role="status">
          {open && empty}
        </p>
      )}
      {error && <p className="help error">{error}</p>}
    </div>
  );
}
