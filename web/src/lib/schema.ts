/** JSON Schema of one setting -> how to ask for it. Covers what recipes and DistillConfig use; the rest is asked as JSON. */
export interface Schema {
  type?: string | string[];
  anyOf?: Schema[];
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  description?: string;
  title?: string;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  "x-registry"?: string;
}

export type Kind = "boolean" | "integer" | "number" | "string" | "choice" | "list" | "json";

export interface Ask {
  kind: Kind;
  choices: string[];
  /** Words that stand beside values: "auto", or "" for null. */
  auto: boolean;
  nullable: boolean;
  fallback: unknown;
  description: string;
  bounds: string;
}

export function ask(schema: Schema, registries: Record<string, string[]> = {}): Ask {
  const parts = schema.anyOf ?? [schema];
  const types = parts.flatMap((part) => part.type ?? []);
  const words = parts.flatMap((part) => part.enum ?? (part.const === undefined ? [] : [part.const])).map(String);
  const auto = words.includes("auto") || schema.default === "auto";
  const choices = words.filter((word) => word !== "auto" || words.length > 1);
  const registry = schema["x-registry"] ? registries[schema["x-registry"]] : undefined;
  const bounded = parts.find((part) => part.type === "number" || part.type === "integer") ?? schema;
  return {
    kind: registry ? "choice" : kindOf(types, choices, auto),
    choices: registry ?? choices,
    auto,
    nullable: types.includes("null"),
    fallback: schema.default,
    description: schema.description ?? "",
    bounds: bounds(bounded),
  };
}

function kindOf(types: string[], choices: string[], auto: boolean): Kind {
  if (types.includes("boolean")) return "boolean";
  if (types.includes("integer")) return "integer";
  if (types.includes("number")) return "number";
  if (types.includes("array")) return "list";
  if (types.includes("object")) return "json";
  if (choices.length > (auto ? 1 : 0)) return "choice";
  return "string";
}

function bounds({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: Schema): string {
  const low = minimum !== undefined ? `at least ${minimum}` : exclusiveMinimum !== undefined ? `above ${exclusiveMinimum}` : "";
  const high = maximum !== undefined && maximum < 2 ** 31 - 1 ? `at most ${maximum}` : exclusiveMaximum !== undefined ? `below ${exclusiveMaximum}` : "";
  return [low, high].filter(Boolean).join(", ");
}

/** What was typed, as a value; `undefined` for "as by default". Throws a sentence where it is neither. */
export function parse(asked: Ask, text: string): unknown {
  const trimmed = text.trim();
  if (trimmed === "") return undefined;
  if (asked.auto && trimmed === "auto") return "auto";
  if (asked.nullable && ["none", "null"].includes(trimmed)) return null;
  if (asked.kind === "integer") return numeric(trimmed, true);
  if (asked.kind === "number") return numeric(trimmed, false);
  if (asked.kind === "boolean") return trimmed === "true" || trimmed === "yes";
  if (asked.kind === "list") return trimmed.split(",").map((item) => scalar(item.trim()));
  if (asked.kind === "json") return asked.choices.includes(trimmed) ? trimmed : JSON.parse(trimmed);
  return trimmed;
}

/** What was typed of several settings; `errors`: by JSON pointer, what is wrong with it. */
export function typed(given: Record<string, string>, schemas: Record<string, Schema>, pointer: string, errors: Map<string, string>): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const [name, text] of Object.entries(given)) {
    const schema = schemas[name];
    if (!schema) continue;
    try {
      const value = parse(ask(schema), text);
      if (value !== undefined) values[name] = value;
    } catch (error) {
      errors.set(`${pointer}/${name}`, error instanceof SyntaxError ? "This is not JSON." : (error as Error).message);
    }
  }
  return values;
}

function numeric(text: string, whole: boolean): number {
  const value = Number(text);
  if (!Number.isFinite(value)) throw new Error(`${text} is not a number.`);
  if (whole && !Number.isInteger(value)) throw new Error(`${text} is not a whole number.`);
  return value;
}

/** "3" -> 3, "true" -> true, anything else as it is. */
export function scalar(text: string): string | number | boolean {
  if (text === "true") return true;
  if (text === "false") return false;
  return text !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
}

export function defaultText({ fallback, nullable }: Ask): string {
  if (fallback === null || (fallback === undefined && nullable)) return "none";
  return typeof fallback === "object" ? JSON.stringify(fallback) : String(fallback ?? "");
}
