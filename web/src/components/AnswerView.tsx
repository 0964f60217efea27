import { type Answer, type DrawnBox, type Named, readAnswer } from "../api/answer";
import { percent } from "../lib/format";

const SHOWN = 5;

interface Props {
  answer: unknown;
  /** The picture that was asked about, as a URL, with its size where boxes or a mask lie over it. */
  picture?: string | null;
  size?: [number, number] | null;
  label: string;
}

/** One network's answer in its own form: classes with bars, labels, boxes or a mask over the picture, a text. */
export function AnswerView({ answer, picture, size, label }: Props) {
  const found = readAnswer(answer);
  return (
    <>
      {picture && size && (found.kind === "boxes" || found.kind === "mask") && <Over found={found} picture={picture} size={size} label={label} />}
      <Told found={found} />
    </>
  );
}

function Told({ found }: { found: Answer }) {
  if (found.kind === "names") return <Bars names={found.names} />;
  if (found.kind === "mask") return <Bars names={found.names} />;
  if (found.kind === "labels")
    return (
      <>
        <p>{found.said.length > 0 ? found.said.join(", ") : <span className="muted">no label</span>}</p>
        <Bars names={found.scores} />
      </>
    );
  if (found.kind === "boxes") return <p>{found.boxes.length > 0 ? counted(found.boxes) : <span className="muted">no box</span>}</p>;
  if (found.kind === "text")
    return (
      <>
        <p className="written">{found.text || <span className="muted">nothing</span>}</p>
        {found.note && <p className="muted small">{found.note}</p>}
      </>
    );
  return null;
}

function Bars({ names }: { names: Named[] }) {
  if (names.length === 0) return null;
  return (
    <table className="bars answer">
      <tbody>
        {names.slice(0, SHOWN).map(({ label, share, colour }) => (
          <tr key={label}>
            <th scope="row">
              {colour && (
                <svg width={12} height={12} aria-hidden="true">
                  <rect x={1} y={1} width={10} height={10} rx={2} fill={colour} stroke="currentColor" strokeOpacity={0.4} />
                </svg>
              )}{" "}
              {label}
            </th>
            {share !== null && (
              <td className="amounts">
                <span className="amount series-1" style={{ width: `${60 * share}%` }} aria-hidden="true" /> {percent(share, 1)}
              </td>
            )}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Over({ found, picture, size: [width, height], label }: { found: Answer; picture: string; size: [number, number]; label: string }) {
  return (
    <svg viewBox={`0 0 ${width} ${height}`} role="img" aria-label={label} className="over">
      <image href={picture} x={0} y={0} width={width} height={height} />
      {found.kind === "mask" && <image href={found.png} x={0} y={0} width={width} height={height} opacity={0.55} style={{ imageRendering: "pixelated" }} />}
      {found.kind === "boxes" &&
        found.boxes.map(({ label: name, score, corners: [x1, y1, x2, y2], colour }, at) => (
          <g key={at}>
            <rect className="box-halo" x={x1} y={y1} width={x2 - x1} height={y2 - y1} />
            <rect className="box" x={x1} y={y1} width={x2 - x1} height={y2 - y1} stroke={colour}>
              <title>
                {name} {score.toFixed(2)}
              </title>
            </rect>
          </g>
        ))}
    </svg>
  );
}

/** "2 cat, 1 dog" */
function counted(boxes: DrawnBox[]): string {
  const counts = new Map<string, number>();
  for (const { label } of boxes) counts.set(label, (counts.get(label) ?? 0) + 1);
  return [...counts].map(([label, amount]) => `${amount} ${label}`).join(", ");
}
