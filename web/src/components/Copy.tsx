import { copy } from "../lib/download";
import { Icon } from "./Icon";
import { useSay, useTry } from "./Toasts";

interface Props {
  text: string;
  what: string;
  label?: string;
  className?: string;
}

export function Copy({ text, what, label, className = "button ghost small" }: Props) {
  const say = useSay();
  const attempt = useTry();
  return (
    <button type="button" className={className} aria-label={label ? undefined : `Copy ${what}`} title={`Copy ${what}`} onClick={() => void attempt(() => copy(text).then(() => say(`Copied ${what}.`)))}>
      <Icon name="copy" size={15} />
      {label}
    </button>
  );
}
