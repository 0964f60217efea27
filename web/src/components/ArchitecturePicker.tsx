import { useCallback } from "react";

import { api, unwrap } from "../api/client";
import type { ArchitectureEntry } from "../api/types";
import { type Subject, subjectOfArchitecture } from "../lib/subject";
import { Combobox, type Found } from "./Combobox";

interface Props {
  label: string;
  value: string;
  error?: string;
  /** Only names for this kind of data are offered; null: any. */
  subject?: Subject | null;
  onChange: (name: string) => void;
}

const SHOWN = 40;

/** A combobox over the service's catalogue. Where that cannot be asked the name can still be typed: it is checked on submit. */
export function ArchitecturePicker({ label, value, error, subject = null, onChange }: Props) {
  const search = useCallback(
    async (text: string): Promise<Found<ArchitectureEntry>> => {
      const query = { search: text || (subject === "texts" ? "transformers:" : undefined), limit: SHOWN };
      const page = await unwrap(api.GET("/catalogue/architectures", { params: { query } }));
      return { items: page.items.filter(({ name }) => !subject || subjectOfArchitecture(name) === subject), more: Boolean(page.next_cursor) };
    },
    [subject],
  );
  return (
    <Combobox
      label={label}
      value={value}
      error={error}
      placeholder={subject === "texts" ? "transformers:auto" : "Search: resnet, mobilenet, vit…"}
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
