/** Round axis steps. */
export function ticks(low: number, high: number, wanted: number): number[] {
  const span = high - low || Math.abs(high) || 1;
  const rough = span / Math.max(1, wanted);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999) ?? 10 * power;
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => Number(((first + index) * step).toPrecision(12)));
}

/** Lowest and highest of the finite values, with a little room; [0, 1] where there are none. */
export function extent(values: Iterable<number>, room = 0.08): [number, number] {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low > high) return [0, 1];
  const span = high - low || Math.abs(high) || 1;
  return [low - room * span, high + room * span];
}

export type Scale = (value: number) => number;

export const linear =
  ([fromLow, fromHigh]: [number, number], [toLow, toHigh]: [number, number]): Scale =>
  (value) =>
    toLow + ((value - fromLow) / (fromHigh - fromLow || 1)) * (toHigh - toLow);

export const decimals = (value: number): string => String(Number(value.toPrecision(6)));
