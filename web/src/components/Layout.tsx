import { type ReactNode, useEffect, useId, useRef } from "react";

import { hasMoved } from "../router";

interface PageProps {
  title: string;
  /** For the tab; the title where it is left out. */
  short?: string;
  actions?: ReactNode;
  above?: ReactNode;
  children: ReactNode;
}

/** A page: its heading takes the focus when one arrives, so that a screen reader says where one is. */
export function Page({ title, short, actions, above, children }: PageProps) {
  const heading = useRef<HTMLHeadingElement>(null);
  const name = short ?? title;
  useEffect(() => {
    document.title = `${name} · Retort`;
  }, [name]);
  useEffect(() => {
    if (hasMoved()) heading.current?.focus({ preventScroll: true });
  }, []);
  return (
    <>
      <div className="page-head">
        <div className="grow">
          {above}
          <h1 ref={heading} tabIndex={-1}>
            {title}
          </h1>
        </div>
        {actions && <div className="row wrap">{actions}</div>}
      </div>
      {children}
    </>
  );
}

interface CardProps {
  title?: string;
  aside?: ReactNode;
  className?: string;
  children: ReactNode;
}

export function Card({ title, aside, className = "", children }: CardProps) {
  const heading = useId();
  return (
    <section className={`card ${className}`} aria-labelledby={title ? heading : undefined}>
      {(title || aside) && (
        <div className="card-head">
          {title && <h2 id={heading}>{title}</h2>}
          {aside && <div className="row wrap end grow">{aside}</div>}
        </div>
      )}
      {children}
    </section>
  );
}

export function Facts({ facts }: { facts: [string, ReactNode][] }) {
  return (
    <dl className="facts">
      {facts
        .filter(([, value]) => value !== null && value !== undefined && value !== "")
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}

/** A table's head of column names. */
export function Heads({ names }: { names: string[] }) {
  return (
    <thead>
      <tr>
        {names.map((name) => (
          <th key={name} scope="col">
            {name}
          </th>
        ))}
      </tr>
    </thead>
  );
}

export function Loading({ what }: { what: string }) {
  return (
    <p className="loading" role="status">
      <span className="spinner" aria-hidden="true" /> Loading {what}…
    </p>
  );
}

export function Labels({ labels }: { labels: Record<string, string> }) {
  const entries = Object.entries(labels);
  if (entries.length === 0) return null;
  return (
    <span className="labels">
      {entries.map(([name, value]) => (
        <span key={name} className="label">
          {name}
          {value && <b>{value}</b>}
        </span>
      ))}
    </span>
  );
}

/** A bar with words for those who do not see it. */
export function Bar({ fraction, label }: { fraction: number; label: string }) {
  const percent = Math.round(100 * Math.min(1, Math.max(0, fraction)));
  return (
    <span className="bar" role="progressbar" aria-valuenow={percent} aria-valuemin={0} aria-valuemax={100} aria-label={label}>
      <span style={{ width: `${percent}%` }} />
    </span>
  );
}

/** A table that may be wider than a phone: it scrolls within itself, by the keyboard too. A group and no landmark: its card is one, often of the same name. */
export function Wide({ label, className = "", children }: { label: string; className?: string; children: ReactNode }) {
  return (
    <div className={`scroll ${className}`.trim()} tabIndex={0} role="group" aria-label={label}>
      {children}
    </div>
  );
}
