import { useCallback } from "react";

import { api, unwrap } from "../api/client";
import type { ArchitectureEntry, Task } from "../api/types";
import { useTasks } from "../hooks/useTasks";
import { accepting } from "../lib/tasks";
import { Combobox, type Found } from "./Combobox";

interface Props {
  label: string;
  value: string;
  error?: string;
  /** Only names of networks for these tasks are offered; null: any. */
  wanted?: Task[] | null;
  onChange: (name: string) => void;
}

const SHOWN = 40;

/** A combobox over the service's catalogue. Where that cannot be asked the name can still be typed: it is checked on submit. */
export function ArchitecturePicker({ label, value, error, wanted = null, onChange }: Props) {
  const tasks = useTasks();
  const search = useCallback(
    async (text: string): Promise<Found<ArchitectureEntry>> => {
      const asked = text || !wanted ? [text || undefined] : [...new Set(wanted.flatMap(({ architectures }) => architectures))];
      const pages = await Promise.all(asked.map((search) => unwrap(api.GET("/catalogue/architectures", { params: { query: { search, limit: SHOWN } } }))));
      const fits = ({ name }: ArchitectureEntry): boolean => !wanted || accepting(tasks, name).some((task) => wanted.includes(task));
      const items = pages.flatMap((page) => page.items).filter(fits);
      const once = items.filter(({ name }, at) => items.findIndex((each) => each.name === name) === at);
      return { items: once.slice(0, SHOWN), more: once.length > SHOWN || pages.some((page) => page.next_cursor) };
    },
    [wanted, tasks],
  );
  return (
    <Combobox
      label={label}
      value={value}
      error={error}
      placeholder={wanted?.find(({ student }) => student)?.student ?? "Search: resnet, mobilenet, vit…"}
      onChange={onChange}
      search={search}
      idOf={({ name }) => name}
      onPick={({ name }) => onChange(name)}
    >
      {(entry) => (
        <>
          <span>{entry.name}</span>
          {typeof entry.family === "string" && <span className="muted small">{entry.family}</span>}
        </>
      )}
    </Combobox>
  );
}
