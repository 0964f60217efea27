type Cell = string | number | null | undefined;

const FORMULA = /^[=+\-@\t\r\n]/;
const NUMBER = /^[+-]?\d[\d.,]*(e[+-]?\d+)?( ?%)?$/i;

/** A text that a spreadsheet would run as a formula gets an apostrophe before it (OWASP, CSV injection). Numbers stay
 *  numbers, also those written out already ("-1.2 %"). */
const harmless = (text: string): string => (FORMULA.test(text) && !NUMBER.test(text) ? `'${text}` : text);

const quoted = (cell: Cell): string => {
  const text = typeof cell === "string" ? harmless(cell) : String(cell ?? "");
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

/** RFC 4180; no cell of it is a formula. */
export const csv = (rows: Cell[][]): string => rows.map((row) => row.map(quoted).join(",")).join("\r\n") + "\r\n";

const escaped = (cell: Cell): string => (cell === null || cell === undefined ? "" : String(cell)).replaceAll("|", "\\|");

/** A Markdown table; the first row is its head. */
export function markdown([head, ...body]: Cell[][]): string {
  if (head === undefined) return "";
  const line = (cells: Cell[]) => `| ${cells.map(escaped).join(" | ")} |`;
  return [line(head), `|${"---|".repeat(head.length)}`, ...body.map(line)].join("\n") + "\n";
}
