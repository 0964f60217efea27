import { count } from "../lib/format";
import type { BoxFindings } from "../lib/report";
import { Card, Wide } from "./Layout";

const COLUMNS = ["boxes", "small", "medium", "large", "ignored", "images without a box", "most in an image"];

/** How many boxes there are, how large, and what is the matter with which. */
export function BoxCard({ boxes }: { boxes: BoxFindings }) {
  return (
    <Card title="Boxes" aside={<span className="muted">small: below 32 × 32 pixels, large: 96 × 96 and more</span>}>
      <Wide label="Boxes by split">
        <table className="plain results">
          <thead>
            <tr>
              <th scope="col">Split</th>
              {COLUMNS.map((name) => (
                <th key={name} scope="col">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {boxes.splits.map(({ split, amounts }) => (
              <tr key={split}>
                <th scope="row">{split}</th>
                {amounts.map((amount, at) => (
                  <td key={COLUMNS[at]}>
                    {count(amount)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </Wide>
      {boxes.faults.map(({ what, amount, examples }) => (
        <details key={what}>
          <summary>
            {count(amount)} {what}
          </summary>
          <ul>
            {examples.map((name) => (
              <li key={name}>
                <code>{name}</code>
              </li>
            ))}
          </ul>
        </details>
      ))}
    </Card>
  );
}
