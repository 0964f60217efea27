type Cell = string | number | null | undefined;

const quoted = (cell: Cell): string => {
  const text = cell === null || cell === undefined ? "" : String(cell);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

/** RFC 4180. */
export const csv = (rows: Cell[][]): string => rows.map((row) => row.map(quoted).join(",")).join("\r\n") + "\r\n";

const escaped = (cell: Cell): string => (cell === null || cell === undefined ? "" : String(cell)).replaceAll("|", "\\|");

/** A Markdown table; the first row is its head. */
export function markdown([head, ...body]: Cell[][]): string {
  if (head === undefined) return "";
  const line = (cells: Cell[]) => `| ${cells.map(escaped).join(" | ")} |`;
  return [line(head), `|${"---|".repeat(head.length)}`, ...body.map(line)].join("\n") + "\n";
}
