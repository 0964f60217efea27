/** Labels as typed in one field: `team=vision, try=3`, or one a line. */

/** One label: its name, = or : and its value. Names hold neither, so the first of them splits. */
const LABEL = /([^,=:\n]*)(?:[=:](?:[^\S\n]*"((?:[^"]|"")*)"[^\S\n]*(?=[,\n]|$)|([^,\n]*)))?(?:[,\n]|$)/g;

/** The labels of `text`. Values are text and stay as typed, without the space around them; one in quotes may hold commas,
 *  newlines and outer space, and "" in it is one quote. Throws `Error` for a label without a name and for a name given twice. */
export function parseLabels(text: string): Record<string, string> {
  const found = new Map<string, string>();
  for (const [whole, before = "", quoted, plain] of text.matchAll(LABEL)) {
    const name = before.trim();
    const value = quoted?.replaceAll('""', '"') ?? plain?.trim() ?? "";
    if (!name && whole.replace(/[,\n]$/, "").trim() === "") continue;
    if (!name) throw new Error(`The label with the value ${value || "of nothing"} has no name.`);
    if (found.has(name)) throw new Error(`The label ${name} is given twice. Put a value that holds a comma in quotes.`);
    found.set(name, value);
  }
  return Object.fromEntries(found);
}

const valueText = (value: string): string => (/[,\n]|^"/.test(value) || value !== value.trim() ? `"${value.replaceAll('"', '""')}"` : value);

/** The text that `parseLabels` reads as `labels`. */
export const formatLabels = (labels: Record<string, string>): string =>
  Object.entries(labels).map(([name, value]) => `${name}=${valueText(value)}`).join(", ");
