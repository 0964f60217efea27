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

/** Round steps along an axis of ratios, both ends above 0. */
export function logTicks(low: number, high: number, wanted: number): number[] {
  if (high / low < 8) return ticks(low, high, wanted).filter((value) => value > 0);
  const decades = Array.from({ length: Math.ceil(Math.log10(high)) - Math.floor(Math.log10(low)) + 1 }, (_, i) => Math.floor(Math.log10(low)) + i);
  const of = (steps: number[]): number[] => decades.flatMap((decade) => steps.map((step) => Number(`${step}e${decade}`))).filter((value) => value >= low && value <= high);
  const found = [[1, 2, 5], [1, 3], [1]].map(of).find((values) => values.length <= wanted + 2) ?? of([1]);
  const every = Math.ceil(found.length / (wanted + 2));
  return found.filter((_, at) => at % every === 0);
}

/** As `extent`, for an axis of ratios: room by a factor. */
export function logExtent(values: Iterable<number>, room = 0.08): [number, number] {
  const [low, high] = extent([...values].map(Math.log), room);
  return [Math.exp(low), Math.exp(high)];
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

/** By ratios: what is twice as much is as far on, wherever it begins. */
export const logarithmic = ([fromLow, fromHigh]: [number, number], to: [number, number]): Scale => {
  const scale = linear([Math.log(fromLow), Math.log(fromHigh)], to);
  return (value) => scale(Math.log(value));
};

export const decimals = (value: number): string => String(Number(value.toPrecision(6)));
