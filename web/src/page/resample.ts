// Resizing as the service does it, so that a page sees what the test set was judged on.
//
// Two ways, of one filter. Pictures that are looked at one by one go through Pillow's `Image.resize(size, filter, box)`:
// first along rows, then along columns, each pass with weights of 22 fractional bits and rounded to bytes. Pictures of
// the test set's own small size go through torch's `F.interpolate(antialias=True)`, which rounds nothing.
export type Interpolation = "nearest" | "bilinear" | "bicubic";
export type Box = readonly [left: number, top: number, right: number, bottom: number];
/** `data`: row by row, `channels` numbers a pixel, 0 to 255. */
export type Raster = { width: number; height: number; channels: number; data: Float32Array | Uint8Array | Uint8ClampedArray };

const BITS = 22;
const SUPPORT = { bilinear: 1, bicubic: 2 };

const triangle = (x: number) => Math.max(0, 1 - Math.abs(x));

/** Keys' cubic with a = -0.5, as Pillow and torch's antialiasing have it. */
function cubic(value: number): number {
  const x = Math.abs(value);
  const a = -0.5;
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

type Weights = { first: number; values: number[] };

/** Of each of `count` outputs: from which input on, and how much of each. `from`, `to`: the part of `size` inputs that is shown. */
function weights(size: number, from: number, to: number, count: number, how: "bilinear" | "bicubic", rounded: boolean): Weights[] {
  const scale = (to - from) / count;
  const wide = Math.max(1, scale);
  const support = SUPPORT[how] * wide;
  const filter = how === "bilinear" ? triangle : cubic;
  return Array.from({ length: count }, (_, i) => {
    const centre = from + (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const last = Math.min(size, Math.trunc(centre + support + 0.5));
    const values = Array.from({ length: last - first }, (_, k) => filter((k + first - centre + 0.5) / wide));
    const sum = values.reduce((total, value) => total + value, 0);
    const whole = values.map((value) => (sum === 0 ? value : value / sum));
    return { first, values: rounded ? whole.map((value) => Math.trunc(value * 2 ** BITS + (value < 0 ? -0.5 : 0.5))) : whole };
  });
}

const toByte = (sum: number) => Math.min(255, Math.max(0, Math.floor((sum + 2 ** (BITS - 1)) / 2 ** BITS)));

/** One pass. `step`: between neighbours along the axis; `starts`: where each line begins in the input and in the output. */
function pass(from: ArrayLike<number>, to: Float32Array | Uint8Array, lines: Iterable<readonly [number, number]>, steps: readonly [number, number], plan: Weights[], finish: (sum: number) => number): void {
  for (const [source, target] of lines)
    plan.forEach(({ first, values }, i) => {
      let sum = 0;
      for (let k = 0; k < values.length; k++) sum += from[source + (first + k) * steps[0]]! * values[k]!;
      to[target + i * steps[1]] = finish(sum);
    });
}

function* across(height: number, width: number, channels: number, wide: number): Generator<readonly [number, number]> {
  for (let y = 0; y < height; y++) for (let c = 0; c < channels; c++) yield [y * width * channels + c, y * wide * channels + c];
}

function* down(width: number, channels: number): Generator<readonly [number, number]> {
  for (let x = 0; x < width * channels; x++) yield [x, x];
}

/** Pillow's nearest: positions are added up, not multiplied. */
function nearest(image: Raster, width: number, height: number, [left, top, right, bottom]: Box): Raster {
  const places = (from: number, to: number, count: number, size: number) => {
    const step = (to - from) / count;
    let place = from + step * 0.5;
    return Array.from({ length: count }, () => {
      const found = Math.min(size - 1, Math.max(0, Math.floor(place)));
      place += step;
      return found;
    });
  };
  const [rows, columns] = [places(top, bottom, height, image.height), places(left, right, width, image.width)];
  const data = new Uint8Array(width * height * image.channels);
  let at = 0;
  for (const y of rows) for (const x of columns) for (let c = 0; c < image.channels; c++) data[at++] = image.data[(y * image.width + x) * image.channels + c]!;
  return { width, height, channels: image.channels, data };
}

/** `Image.resize((width, height), how, box)`: bytes. The box is in single precision there, so it is here. */
export function resized(image: Raster, width: number, height: number, how: Interpolation, wanted: Box = [0, 0, image.width, image.height]): Raster {
  const box = wanted.map(Math.fround) as unknown as Box;
  if (how === "nearest") return nearest(image, width, height, box);
  return inTwo(image, width, height, how, box, true);
}

/** The whole picture in single precision, held to 0 to 255: as a tensor is resized. */
export function stretched(image: Raster, width: number, height: number, how: Interpolation): Raster {
  const all: Box = [0, 0, image.width, image.height];
  if (how === "nearest") return nearest(image, width, height, all);
  const found = inTwo(image, width, height, how, all, false);
  return { ...found, data: found.data.map((value) => Math.min(255, Math.max(0, value))) };
}

function inTwo(image: Raster, width: number, height: number, how: "bilinear" | "bicubic", [left, top, right, bottom]: Box, rounded: boolean): Raster {
  const { channels } = image;
  const make = (count: number) => (rounded ? new Uint8Array(count) : new Float32Array(count));
  const finish = rounded ? toByte : (sum: number) => sum;
  let shown: Raster = image;
  if (width !== image.width || left !== 0 || right !== image.width) {
    const data = make(width * image.height * channels);
    pass(image.data, data, across(image.height, image.width, channels, width), [channels, channels], weights(image.width, left, right, width, how, rounded), finish);
    shown = { width, height: image.height, channels, data };
  }
  if (height !== image.height || top !== 0 || bottom !== image.height) {
    const data = make(width * height * channels);
    pass(shown.data, data, down(width, channels), [width * channels, width * channels], weights(image.height, top, bottom, height, how, rounded), finish);
    shown = { width, height, channels, data };
  }
  return shown;
}
