import { useState } from "react";

import { useAlone } from "../hooks/useAlone";
import { Dialog } from "./Dialog";
import { Icon } from "./Icon";
import { useSay, useTry } from "./Toasts";

interface Props {
  what: string;
  name: string;
  remove: () => Promise<unknown>;
  onDone: () => void;
  verb?: string;
  note?: string;
}

const NOTE = "Its files are removed from the store. It cannot be deleted while jobs refer to it.";

export function DeleteButton({ what, name, remove, onDone, verb = "Delete", note = NOTE }: Props) {
  const [asking, setAsking] = useState(false);
  const attempt = useTry();
  const alone = useAlone();
  const say = useSay();
  async function run(): Promise<void> {
    const ok = await attempt(() => remove().then(() => true));
    setAsking(false);
    if (!ok) return;
    say("Done.");
    onDone();
  }
  return (
    <>
      <button type="button" className="button danger-quiet" onClick={() => setAsking(true)}>
        <Icon name="trash" size={16} /> {verb}
      </button>
      {asking && (
        <Dialog title={`${verb} this ${what}?`} confirm={verb} tone="danger" onConfirm={() => void alone(run)} onClose={() => setAsking(false)}>
          <p>
            <strong>{name}</strong>
          </p>
          <p>{note}</p>
        </Dialog>
      )}
    </>
  );
}
