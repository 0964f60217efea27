import { readPrecision, readWorst } from "../api/detected";
import { opened } from "../api/files";
import { usePicture } from "../hooks/usePicture";
import { usePoll } from "../hooks/usePoll";
import { PrecisionCard } from "./PrecisionCard";
import { WorstCard } from "./WorstCard";

/** What a detector's files tell of its boxes on the test set. `hrefOf`: where a file of the job is, null where there is none. */
export function DetectedCards({ hrefOf }: { hrefOf: (name: string) => string | null }) {
  const curves = usePoll(`precision ${hrefOf("precision-recall.json") ?? ""}`, () => opened(hrefOf("precision-recall.json"), readPrecision));
  const worst = usePoll(`worst ${hrefOf("worst.json") ?? ""}`, () => opened(hrefOf("worst.json"), readWorst));
  const sheet = hrefOf("worst.webp");
  const picture = usePicture(sheet && `${sheet}?redirect=false`);
  return (
    <>
      {curves.data && <PrecisionCard found={curves.data} />}
      {worst.data && picture && <WorstCard worst={worst.data} picture={picture} />}
    </>
  );
}
