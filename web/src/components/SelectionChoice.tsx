import type { Entry } from "../api/types";
import type { Draft, Schemas } from "../lib/draft";
import { words } from "../lib/format";
import { Prose } from "./Prose";
import { SchemaField } from "./SchemaField";

interface SelectionProps {
  selections: Entry[];
  draft: Draft;
  schemas: Schemas;
  at: (pointer: string) => string | undefined;
  set: (change: Partial<Draft>) => void;
}

export function SelectionChoice({ selections, draft, schemas, at, set }: SelectionProps) {
  const chosen = selections.find((each) => each.name === draft.selection);
  return (
    <fieldset>
      <legend>Which layers</legend>
      <label className="field">
        <span>Selection rule</span>
        <select value={draft.selection} onChange={(event) => set({ selection: event.target.value, selectionParameters: {} })}>
          <option value="">auto (default)</option>
          {selections.filter((each) => each.name !== "auto").map((each) => (
            <option key={each.name} value={each.name}>
              {words(each.name)}
            </option>
          ))}
        </select>
        <span className="help">{at("/config/selection") ? <span className="error">{at("/config/selection")}</span> : <Prose text={(chosen ?? selections.find((each) => each.name === "auto"))?.summary ?? ""} />}</span>
      </label>
      <div className="fields">
        {Object.entries(schemas.selection).map(([name, schema]) => (
          <SchemaField key={name} name={name} schema={schema} value={draft.selectionParameters[name] ?? ""} error={at(`/config/selection_parameters/${name}`)} onChange={(text) => set({ selectionParameters: { ...draft.selectionParameters, [name]: text } })} />
        ))}
      </div>
    </fieldset>
  );
}
