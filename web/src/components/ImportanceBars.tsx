import type { Importance } from "../api/types";
import { percent } from "../lib/format";
import { placeName } from "../lib/studies";
import { Bar, Card } from "./Layout";

/** What matters for reaching the better quarter of the configurations. */
export function ImportanceBars({ importance }: { importance: Importance }) {
  return (
    <Card title="What matters">
      <table>
        <tbody>
          {Object.entries(importance.shares).map(([pointer, share]) => (
            <tr key={pointer}>
              <th scope="row">{placeName(pointer)}</th>
              <td>{percent(share, 0)}</td>
              <td>
                <Bar fraction={share} label={`${placeName(pointer)}: ${percent(share, 0)}`} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <p className="muted">
        Of {importance.configurations} configurations, for {importance.objective}.
        {importance.left_out.length > 0 && ` Not in all of them, so left out: ${importance.left_out.map(placeName).join(", ")}.`}
      </p>
    </Card>
  );
}
