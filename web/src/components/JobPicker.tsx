import { useCallback, useState } from "react";

import { api, unwrap } from "../api/client";
import type { Job } from "../api/types";
import { title } from "../lib/jobs";
import { Combobox, type Found } from "./Combobox";

interface Props {
  label: string;
  /** Ids that are not offered. */
  without: string[];
  onPick: (id: string) => void;
}

const SHOWN = 20;

/** Any of the service's jobs, however old, by words of its name, recipe, student, status or id. */
export function JobPicker({ label, without, onPick }: Props) {
  const [text, setText] = useState("");
  const left = without.join();
  const search = useCallback(
    async (words: string): Promise<Found<Job>> => {
      const out = left.split(",");
      const query = { search: words.slice(0, 100) || undefined, limit: SHOWN + Math.min(out.length, SHOWN) };
      const page = await unwrap(api.GET("/jobs", { params: { query } }));
      return { items: page.items.filter(({ id }) => !out.includes(id)), more: Boolean(page.next_cursor) };
    },
    [left],
  );
  function pick({ id }: Job): void {
    setText("");
    onPick(id);
  }
  return (
    <Combobox
      label={label}
      hiddenLabel
      value={text}
      placeholder={`${label}: name, student, id…`}
      onChange={setText}
      search={search}
      idOf={({ id }) => id}
      onPick={pick}
      nothing={(failed) => (failed ? "The jobs could not be listed: type again to try again." : "No job matches.")}
    >
      {(job) => (
        <>
          <span>{title(job)}</span>
          <span className="muted small">
            {job.status}, {job.id.slice(-6)}
          </span>
        </>
      )}
    </Combobox>
  );
}
