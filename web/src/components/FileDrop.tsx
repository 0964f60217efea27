import { type DragEvent, useId, useState } from "react";

import { bytes } from "../lib/format";
import { Icon } from "./Icon";

interface Props {
  label: string;
  accept: string;
  hint: string;
  file: File | null;
  onFile: (file: File | null) => void;
}

/** A file by dropping it or by choosing it; the same control for mouse, finger and keyboard. */
export function FileDrop({ label, accept, hint, file, onFile }: Props) {
  const id = useId();
  const [over, setOver] = useState(false);
  function drop(event: DragEvent): void {
    event.preventDefault();
    setOver(false);
    const dropped = event.dataTransfer.files[0];
    if (dropped) onFile(dropped);
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
        {file ? (
          <>
            <b>{file.name}</b>, {bytes(file.size)}
          </>
        ) : (
          <>
            <b>{label}</b>
            <span className="muted small">{hint}</span>
          </>
        )}
      </label>
      <input id={id} type="file" accept={accept} onChange={(event) => onFile(event.target.files?.[0] ?? null)} />
    </div>
  );
}
