import { useState } from "react";

import { Dialog } from "./Dialog";
import { Icon } from "./Icon";
import { useSay, useTry } from "./Toasts";

interface Props {
  what: string;
  name: string;
  remove: () => Promise<unknown>;
  onDone: () => void;
}

export function DeleteButton({ what, name, remove, onDone }: Props) {
  const [asking, setAsking] = useState(false);
  const attempt = useTry();
  const say = useSay();
  async function run(): Promise<void> {
    const ok = await attempt(() => remove().then(() => true));
    setAsking(false);
    if (!ok) return;
    say("Deleted.");
    onDone();
  }
  return (
    <>
      <button type="button" className="button danger-quiet" onClick={() => setAsking(true)}>
        <Icon name="trash" size={16} /> Delete
      </button>
      {asking && (
        <Dialog title={`Delete this ${what}?`} confirm="Delete" tone="danger" onConfirm={() => void run()} onClose={() => setAsking(false)}>
          <p>
            <strong>{name}</strong>
          </p>
          <p>Its files are removed from the store. It cannot be deleted while jobs refer to it.</p>
        </Dialog>
      )}
    </>
  );
}
