import { type ReactNode, useEffect, useId, useRef } from "react";

interface Props {
  title: string;
  children: ReactNode;
  confirm: string;
  tone?: "danger" | "primary";
  busy?: boolean;
  onConfirm: () => void;
  onClose: () => void;
}

/** Asks before what cannot be undone. The browser's own dialog: focus stays inside and goes back, Escape closes. */
export function Dialog({ title, children, confirm, tone = "primary", busy = false, onConfirm, onClose }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    const before = document.activeElement;
    dialog.current?.showModal();
    return () => {
      if (document.activeElement === document.body && before instanceof HTMLElement) before.focus(); // taken away unclosed, once confirmed
    };
  }, []);
  return (
    <dialog ref={dialog} aria-labelledby={heading} onClose={onClose} className="dialog">
      <h2 id={heading}>{title}</h2>
      <div className="dialog-body">{children}</div>
      <div className="row end">
        <button type="button" className="button" onClick={() => dialog.current?.close()}>
          Keep it
        </button>
        <button type="button" className={`button ${tone}`} disabled={busy} onClick={onConfirm}>
          {confirm}
        </button>
      </div>
    </dialog>
  );
}
