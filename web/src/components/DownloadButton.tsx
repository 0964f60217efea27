import { download } from "../lib/download";
import { Icon } from "./Icon";
import { useTry } from "./Toasts";

interface Props {
  path: string;
  name: string;
  label?: string;
  primary?: boolean;
}

export function DownloadButton({ path, name, label, primary = false }: Props) {
  const attempt = useTry();
  return (
    <button type="button" className={`button small ${primary ? "primary" : "ghost"}`} aria-label={label ? undefined : `Download ${name}`} title={`Download ${name}`} onClick={() => void attempt(() => download(path, name))}>
      <Icon name="download" size={15} />
      {label}
    </button>
  );
}
