import { useId } from "react";

import { ask, defaultText, type Schema } from "../lib/schema";
import { words } from "../lib/format";
import { Prose } from "./Prose";

interface Props {
  name: string;
  schema: Schema;
  registries?: Record<string, string[]>;
  /** What an empty field stands for, where the schema has no default. */
  unset?: string;
  value: string;
  error?: string;
  onChange: (text: string) => void;
}

/** One setting, asked by its schema. Empty means the default, which is shown. */
export function SchemaField({ name, schema, registries, unset = "", value, error, onChange }: Props) {
  const id = useId();
  const asked = ask(schema, registries);
  const standard = defaultText(asked) || unset;
  const selects = asked.kind === "boolean" || asked.kind === "choice";
  const choices = asked.kind === "boolean" ? [...(asked.auto ? ["auto"] : []), "true", "false"] : asked.choices;
  const common = { id, value, "aria-describedby": `${id}-help`, "aria-invalid": error ? true : undefined };
  return (
    <div className="field">
      <label htmlFor={id}>{words(name)}</label>
      {selects ? (
        <select {...common} onChange={(event) => onChange(event.target.value)}>
          <option value="">{standard} (default)</option>
          {choices
            .filter((choice) => choice !== standard)
            .map((choice) => (
              <option key={choice}>{choice}</option>
            ))}
        </select>
      ) : (
        <input {...common} type="text" list={asked.kind === "json" && choices.length > 0 ? `${id}-words` : undefined} inputMode={asked.kind === "integer" ? "numeric" : "text"} placeholder={standard} autoComplete="off" spellCheck={false} onChange={(event) => onChange(event.target.value)} />
      )}
      {asked.kind === "json" && choices.length > 0 && (
        <datalist id={`${id}-words`}>
          {choices.map((choice) => (
            <option key={choice} value={choice} />
          ))}
        </datalist>
      )}
      <p id={`${id}-help`} className="help">
        {error ? <span className="error">{error} </span> : null}
        <Prose text={asked.description} /> {asked.bounds && <span className="muted">({asked.bounds})</span>}
      </p>
    </div>
  );
}
