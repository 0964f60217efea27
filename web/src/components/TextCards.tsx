import { count, percent } from "../lib/format";
import { type DatasetFindings, total, type TextFindings } from "../lib/report";
import { Card, Facts } from "./Layout";

/** A warning that nobody overlooks: what is in both splits flatters every score. */
export function Twins({ found, samples }: { found: DatasetFindings; samples: string }) {
  if (!found.duplicates) return null;
  const tested = total(found.counts.find(({ split }) => split === "test")?.counts ?? []);
  const share = tested > 0 ? ` (${percent(found.duplicates / tested, 1)})` : "";
  return (
    <p className="verdict tone-warn" role="note">
      <b>
        {count(found.duplicates)} of {count(tested)} test {samples}
        {share} are also among the training {samples}.
      </b>{" "}
      A model may have learnt them by heart: scores on them flatter every model.
    </p>
  );
}

/** What can be known of texts before a tokenizer has seen them. */
export function TextCards({ text }: { text: TextFindings }) {
  return (
    <>
      <Lengths text={text} />
      <Examples text={text} />
    </>
  );
}

function Lengths({ text: { words, longer } }: { text: TextFindings }) {
  const [least, median, most] = words;
  return (
    <Card title="Lengths" aside={<span className="muted">in words and punctuation marks</span>}>
      <Facts facts={[["Shortest", count(least)], ["Median", count(median)], ["Longest", count(most)]]} />
      {longer.some(([, share]) => share > 0) ? (
        <table className="bars longer">
          <caption className="small">Cut at the least, by max_length</caption>
          <tbody>
            {longer.map(([length, share]) => (
              <tr key={length}>
                <th scope="row">{length} tokens</th>
                <td className="amounts">
                  {share > 0 && <span className="amount series-1" style={{ width: `${72 * share}%` }} aria-hidden="true" />}
                  {percent(share, 1)}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      ) : (
        longer[0] && <p className="spaced">No text has more than {longer[0][0]} of them.</p>
      )}
      <p className="muted small">A tokenizer makes 1.1 to 1.5 tokens of a word, so more may be cut. A job chooses its max_length from the training texts and says exactly how many it cuts.</p>
    </Card>
  );
}

function Examples({ text: { examples } }: { text: TextFindings }) {
  if (examples.length === 0) return null;
  return (
    <Card title="What they look like" aside={<span className="muted">the first training text{examples.some(({ label }) => label) ? " of each class" : "s"}</span>}>
      <ul className="texts">
        {examples.map(({ label, first, second }, at) => (
          <li key={at}>
            {label && <span className="label">{label}</span>}
            <p>{first}</p>
            {second && <p className="second">{second}</p>}
          </li>
        ))}
      </ul>
    </Card>
  );
}
