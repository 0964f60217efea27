import { useNow } from "../hooks/useNow";
import { useContact } from "../hooks/useNow";
import { ago } from "../lib/format";

/** When what is shown was last confirmed by the service. `at` is this machine's time. */
export function Updated({ at, failing = false }: { at: number | null; failing?: boolean }) {
  const { clockOffset } = useContact();
  const here = useNow() - clockOffset;
  if (at === null) return null;
  return <span className={failing ? "updated bad" : "updated"}>Last update {ago(at, here)}</span>;
}
