import { type DragEvent, useId, useState } from "react";

import { bytes } from "../lib/format";
import { Icon } from "./Icon";

interface Props {
  label: string;
  accept: string;
  hint: string;
  files: File[];
  /** Whether several may be given at once. */
  many?: boolean;
  onFiles: (files: File[]) => void;
}

const SHOWN = 8;

/** Files by dropping or by choosing them; the same control for mouse, finger and keyboard. */
export function FileDrop({ label, accept, hint, files, many = false, onFiles }: Props) {
  const id = useId();
  const [over, setOver] = useState(false);
  function take(given: FileList | null): void {
    const all = [...(given ?? [])];
    if (all.length > 0) onFiles(many ? all : all.slice(0, 1));
  }
  function drop(event: DragEvent): void {
    event.preventDefault();
    setOver(false);
    take(event.dataTransfer.files);
  }
  return (
    <div
      className={over ? "drop over" : "drop"}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
    >
      <Icon name="upload" size={22} />
      <label htmlFor={id}>
        {files.length > 0 ? (
          <>
            {files.slice(0, SHOWN).map((file) => (
              <span key={file.name}>
                <b>{file.name}</b>, {bytes(file.size)}
              </span>
            ))}
            {files.length > SHOWN && <span className="muted small">and {files.length - SHOWN} more</span>}
          </>
        ) : (
          <>
            <b>{label}</b>
            <span className="muted small">{hint}</span>
          </>
        )}
      </label>
      <input id={id} type="file" accept={accept} multiple={many} onChange={(event) => take(event.target.files)} />
    </div>
  );
}
