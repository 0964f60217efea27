import { useEffect, useRef, useState } from "react";

import { api, unwrap } from "../api/client";
import type { Figure, FigureAxis, FigureLeftOut, FigurePoint } from "../api/types";
import { FigureChart } from "../charts/FigureChart";
import { pointsOf } from "../charts/figureLayout";
import { savePng, saveSvg } from "../charts/exporting";
import { usePoll } from "../hooks/usePoll";
import { figure as number } from "../lib/format";
import { assigned } from "../lib/studies";
import { Link, navigate } from "../router";
import { DownloadButton } from "./DownloadButton";
import { Card, Heads, Loading, Wide } from "./Layout";
import { Problem } from "./Problem";
import { useTry } from "./Toasts";

interface Props {
  study: string;
  name: string;
  /** Milliseconds between two looks; null: the study has ended. */
  interval: number | null;
  /** How often something has happened: each time it is asked for again. */
  happened: number;
}

/** What is asked for; what is left out the service chooses. */
type Asked = Partial<Record<"x" | "y" | "series", string>>;

/** Configurations as points with intervals, in series: what stands along the axes is chosen here, and computed by the service. */
export function FigureCard({ study, name, interval, happened }: Props) {
  const [asked, setAsked] = useState<Asked>({});
  const box = useRef<HTMLDivElement>(null);
  const attempt = useTry();
  const { data, problem, reload } = usePoll(
    `figure ${study} ${JSON.stringify(asked)}`,
    async () => (await unwrap(api.GET("/studies/{study_id}/figure", { params: { path: { study_id: study }, query: asked } }))) as Figure,
    interval,
  );
  useEffect(() => {
    if (happened > 0) reload();
  }, [happened, reload]);
  const last = useRef<Figure | undefined>(undefined);
  if (data) last.current = data;
  const shown = last.current; // while another is loaded, the one before stays
  if (!shown) return <Card title="Figures">{problem ? <Problem error={problem} onRetry={reload} /> : <Loading what="the figure" />}</Card>;
  const points = pointsOf(shown);
  const file = `figure-${study}`;
  const query = new URLSearchParams({ format: "csv", x: shown.x.name, y: shown.y.name, series: shown.series?.name ?? "none" });
  const exports = points.length > 0 && (
    <>
      <button type="button" className="button small" onClick={() => void attempt(() => savePng(box.current as HTMLElement, file))}>
        PNG
      </button>
      <button type="button" className="button small" onClick={() => void attempt(async () => saveSvg(box.current as HTMLElement, file))}>
        SVG
      </button>
      <DownloadButton path={`/studies/${study}/figure?${query.toString()}`} name={`${file}.csv`} label="CSV" />
    </>
  );
  return (
    <Card title="Figures" aside={exports}>
      <Axes shown={shown} asked={asked} onAsk={setAsked} />
      {problem && <Problem error={problem} onRetry={reload} />}
      {points.length > 0 && (
        <div className="figure-box" ref={box}>
          <FigureChart figure={shown} title={`${name}: ${shown.y.label} against ${shown.x.label}`} onOpen={(job) => navigate(`/jobs/${job}`)} />
        </div>
      )}
      <p className={points.length > 0 ? "muted small" : "none"}>{shown.reading.join(" ")}</p>
      {points.length + shown.left_out.length > 0 && <AsTable shown={shown} />}
    </Card>
  );
}

const KINDS: [FigureAxis["kind"], string][] = [["figure", "What it costs"], ["place", "What is varied"], ["score", "Score of its teacher layer"]];

function Axes({ shown, asked, onAsk }: { shown: Figure; asked: Asked; onAsk: (asked: Asked) => void }) {
  const { x, y, series } = shown.choices;
  return (
    <div className="fields">
      <Choice label="Height (y)" axes={y} chosen={asked.y ?? shown.y.name} onChoose={(name) => onAsk({ ...asked, y: name })} />
      <Choice label="Across (x)" axes={x} chosen={asked.x ?? shown.x.name} grouped onChoose={(name) => onAsk({ ...asked, x: name })} />
      {series.length > 0 && <Choice label="Series" axes={series} chosen={asked.series ?? shown.series?.name ?? "none"} none onChoose={(name) => onAsk({ ...asked, series: name })} />}
    </div>
  );
}

interface ChoiceProps {
  label: string;
  axes: FigureAxis[];
  chosen: string;
  grouped?: boolean;
  none?: boolean;
  onChoose: (name: string) => void;
}

function Choice({ label, axes, chosen, grouped = false, none = false, onChoose }: ChoiceProps) {
  const options = (of: FigureAxis[]) =>
    of.map((axis) => (
      <option key={axis.name} value={axis.name}>
        {axis.label}
      </option>
    ));
  const groups = KINDS.map(([kind, heading]) => ({ heading, of: axes.filter((axis) => axis.kind === kind) })).filter(({ of }) => of.length > 0);
  return (
    <label className="field">
      <span>{label}</span>
      <select value={chosen} onChange={(event) => onChoose(event.target.value)}>
        {none && <option value="none">none</option>}
        {grouped
          ? groups.map(({ heading, of }) => (
              <optgroup key={heading} label={heading}>
                {options(of)}
              </optgroup>
            ))
          : options(axes)}
      </select>
    </label>
  );
}

const WHY: Record<FigureLeftOut["why"], string> = {
  no_value: "no run ended with a value",
  no_figure: "no value across",
  no_number: "no number across",
  not_one_layer: "not distilled on exactly one layer",
  not_scored: "its layer is on no Q curve",
};

/** The same as a table, and who is not in the picture. Its rows are made when it is opened: a study may have thousands. */
function AsTable({ shown }: { shown: Figure }) {
  const [open, setOpen] = useState(false);
  const heads = ["Configuration", ...(shown.series ? [shown.series.label] : []), shown.x.label, shown.y.label, "95 % interval", "Seeds", "Not in it"];
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>As a table</summary>
      {open && (
        <Wide label="The figure as a table">
          <table className="plain">
            <Heads names={heads} />
            <tbody>
              {shown.lines.flatMap((line, at) =>
                line.points.map((point) => (
                  <tr key={`${at} ${point.configuration}`}>
                    <Configuration of={point} />
                    {shown.series && <td>{line.label}</td>}
                    <td>
                      {number(point.x)} {point.layer !== null && <code>{point.layer}</code>}
                    </td>
                    <td>{number(point.y)}</td>
                    <td>{interval(point)}</td>
                    <td>{point.n}</td>
                    <td>{counted(point.unused)}</td>
                  </tr>
                )),
              )}
              {shown.left_out.map((each) => (
                <tr key={each.configuration}>
                  <Configuration of={each} />
                  <td colSpan={heads.length - 2} className="muted">
                    Left out: {WHY[each.why]}
                  </td>
                  <td>{counted(each.unused)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Wide>
      )}
    </details>
  );
}

function Configuration({ of: { configuration, assignment, job } }: { of: FigurePoint | FigureLeftOut }) {
  const said = configuration === 0 ? "Base job" : String(configuration);
  return (
    <th scope="row">
      {job ? <Link to={`/jobs/${job}`}>{said}</Link> : said} <span className="muted">{assigned(assignment)}</span>
    </th>
  );
}

function interval({ n, low, high }: FigurePoint): string {
  if (low !== null && high !== null) return `${number(low)} to ${number(high)}`;
  return n === 1 ? "none: one seed" : "none: its seeds coincide";
}

/** `2 diverged, 1 at chance`. */
const counted = (unused: Record<string, number>): string =>
  Object.entries(unused)
    .map(([why, times]) => `${times} ${why.replaceAll("_", " ")}`)
    .join(", ");
