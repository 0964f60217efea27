import { api, unwrap } from "../api/client";
import { usePoll } from "../hooks/usePoll";
import { useTasks } from "../hooks/useTasks";
import { pairs, withOption } from "../lib/draft";
import { ask, parse, type Schema } from "../lib/schema";
import { isFolder } from "../lib/tasks";
import { SchemaField } from "./SchemaField";

interface Props {
  architecture: string;
  /** As typed: "layers=2, width=128". */
  value: string;
  error?: string;
  onChange: (text: string) => void;
}

/** A student's options: fields where the catalogue says which there are, else as text. */
export function StudentOptions({ architecture, value, error, onChange }: Props) {
  const schemas = useOptions(architecture);
  if (!schemas) return <AsText value={value} error={error} onChange={onChange} />;
  const given = pairs(value);
  return (
    <>
      <div className="fields">
        {Object.entries(schemas).map(([name, schema]) => {
          const text = given[name] === undefined ? "" : String(given[name]);
          return (
            <SchemaField key={name} name={name} schema={schema} unset={name === "parameters" ? "none" : "the teacher\u2019s"} value={text} error={wrong(schema, text)} onChange={(typed) => onChange(withOption(value, name, typed))} />
          );
        })}
      </div>
      {error && <p className="help error">{error}</p>}
    </>
  );
}

function AsText({ value, error, onChange }: Omit<Props, "architecture">) {
  return (
    <label className="field">
      <span>Options</span>
      <input value={value} placeholder="width=8" autoComplete="off" spellCheck={false} onChange={(event) => onChange(event.target.value)} />
      {error && <span className="help error">{error}</span>}
    </label>
  );
}

function wrong(schema: Schema, text: string): string | undefined {
  try {
    parse(ask(schema), text);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** The options of a student that is a model folder, by the service's own description; of other networks there is none. */
function useOptions(architecture: string): Record<string, Schema> | undefined {
  const listed = isFolder(useTasks(), architecture);
  return usePoll(`options of ${listed ? architecture : ""}`, () => (listed ? load(architecture) : Promise.resolve(null))).data ?? undefined;
}

async function load(name: string): Promise<Record<string, Schema> | null> {
  const { items } = await unwrap(api.GET("/catalogue/architectures", { params: { query: { search: name, limit: 40 } } }));
  const found = items.find((entry) => entry.name === name)?.options;
  return found && typeof found === "object" && Object.keys(found).length > 0 ? (found as Record<string, Schema>) : null;
}
