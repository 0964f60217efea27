import { useState } from "react";

export type PixelRange = [number, number];

/** What the two fields say; null where they are empty or no range. */
export function readRange(low: string, high: string): PixelRange | null {
  if (!high.trim()) return null;
  const [from, to] = [Number(low.trim() || "0"), Number(high)];
  const whole = Number.isInteger(from) && Number.isInteger(to);
  return whole && 0 <= from && from < to && to <= 65535 ? [from, to] : null;
}

/** Which values of 16-bit grey become black and white: for images of microscopes and X-rays, which use fewer bits. */
export function PixelRangeField({ onRange }: { onRange: (range: PixelRange | null) => void }) {
  const [low, setLow] = useState("");
  const [high, setHigh] = useState("");
  const wrong = (low.trim() !== "" || high.trim() !== "") && readRange(low, high) === null;

  function change(from: string, to: string): void {
    setLow(from);
    setHigh(to);
    onRange(readRange(from, to));
  }

  return (
    <details className="columns-help">
      <summary>Images with 16 bits a pixel</summary>
      <p className="help">
        Of 16 bits the upper byte is kept, so that 12-bit images are nearly black. Say here which values are black and white: 0 and 4095 for 12 bits. The student then sees new images the same way.
      </p>
      <div className="grid2">
        <label className="field">
          <span>Value that is black</span>
          <input value={low} inputMode="numeric" placeholder="0" autoComplete="off" onChange={(event) => change(event.target.value, high)} />
        </label>
        <label className="field">
          <span>Value that is white</span>
          <input value={high} inputMode="numeric" placeholder="4095" autoComplete="off" onChange={(event) => change(low, event.target.value)} />
        </label>
      </div>
      {wrong && (
        <p className="help error" role="alert">
          Two whole numbers from 0 to 65535, the second larger than the first.
        </p>
      )}
    </details>
  );
}
