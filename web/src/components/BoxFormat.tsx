import type { Task } from "../api/types";

const NUMBERS: [string, string][] = [
  ["xyxy", "x1 y1 x2 y2: corners"],
  ["xywh", "x y width height, from the upper left corner"],
  ["cxcywh", "x y width height, of the centre"],
];
const UNITS: [string, string][] = [
  ["", "as the numbers tell"],
  ["_absolute", "pixels"],
  ["_relative", "shares of the image's sides"],
];

/** What the four numbers of a box are, where a table or parquet leaves it open; nothing where no task has boxes. */
export function BoxFormatField({ tasks, task, value, onChange }: { tasks: Task[]; task: string; value: string; onChange: (format: string) => void }) {
  const having = tasks.filter(({ name, reading }) => (task === "" || task === name) && reading?.includes("box_format"));
  if (having.length === 0) return null;
  const [way = "", unit = ""] = [value.split("_")[0], value.includes("_") ? `_${value.split("_")[1]}` : ""];
  return (
    <details className="columns-help">
      <summary>Boxes in a table or parquet</summary>
      <p className="help">Names of columns and the numbers themselves tell what the four numbers of a box are. Where they leave it open, say it here: thumbnails show whether it is right.</p>
      <div className="grid2">
        <label className="field">
          <span>The numbers of a box</span>
          <select value={way} onChange={(event) => onChange(event.target.value && event.target.value + unit)}>
            <option value="">as the files tell</option>
            {NUMBERS.map(([name, title]) => (
              <option key={name} value={name}>
                {title}
              </option>
            ))}
          </select>
        </label>
        <label className="field">
          <span>Their unit</span>
          <select value={unit} disabled={way === ""} onChange={(event) => onChange(way + event.target.value)}>
            {UNITS.map(([name, title]) => (
              <option key={name} value={name}>
                {title}
              </option>
            ))}
          </select>
        </label>
      </div>
    </details>
  );
}
