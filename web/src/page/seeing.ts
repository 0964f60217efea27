// From a picture's pixels to the network's input, as evaluation prepares it.
import type { Described } from "./described";
import { type Box, type Raster, resized, stretched } from "./resample";

/** To the even neighbour from the middle, as Python rounds. */
export function toEven(value: number): number {
  const low = Math.floor(value);
  if (value - low !== 0.5) return Math.round(value);
  return low % 2 === 0 ? low : low + 1;
}

/** Pillow's luminance (ITU-R 601), rounded to bytes. */
export function grey(image: Raster): Raster {
  const data = new Uint8Array(image.width * image.height);
  for (let i = 0; i < data.length; i++) data[i] = (image.data[3 * i]! * 19595 + image.data[3 * i + 1]! * 38470 + image.data[3 * i + 2]! * 7471 + 0x8000) >> 16;
  return { ...image, channels: 1, data };
}

/** The same of a tensor: with weights 0.299, 0.587 and 0.114, not rounded. */
function greyTensor(image: Raster): Raster {
  const data = new Float32Array(image.width * image.height);
  for (let i = 0; i < data.length; i++) data[i] = 0.299 * image.data[3 * i]! + 0.587 * image.data[3 * i + 1]! + 0.114 * image.data[3 * i + 2]!;
  return { ...image, channels: 1, data };
}

export function centreBox(image: Raster, height: number, width: number, crop: number): Box {
  const scale = Math.min(image.height / height, image.width / width);
  const kept = scale * (scale > 1 ? crop : 1);
  const [h, w] = [Math.min(image.height, height * kept), Math.min(image.width, width * kept)];
  return [(image.width - w) / 2, (image.height - h) / 2, (image.width + w) / 2, (image.height + h) / 2];
}

function cut(image: Raster, [left, top, right, bottom]: Box): Raster {
  const [width, height] = [right - left, bottom - top];
  const data = new Uint8Array(width * height * image.channels);
  for (let y = 0; y < height; y++) data.set(image.data.slice(((y + top) * image.width + left) * image.channels, ((y + top) * image.width + right) * image.channels), y * width * image.channels);
  return { width, height, channels: image.channels, data };
}

/** A picture of the test set's own size: resized as a tensor. */
function asTensor(image: Raster, { input }: Described): Raster {
  const larger = image.height > input.height && image.width > input.width;
  const box = larger ? (centreBox(image, input.height, input.width, input.crop).map(toEven) as unknown as Box) : null;
  const shown = box === null ? image : cut(image, box);
  const one = input.channels === 1 ? greyTensor(shown) : shown;
  return one.height === input.height && one.width === input.width ? one : stretched(one, input.width, input.height, input.interpolation);
}

/** How large a picture stands in the upper left of the input. */
export function fittedSize(image: { width: number; height: number }, input: { width: number; height: number }): { width: number; height: number } {
  const scale = Math.min(input.height / image.height, input.width / image.width);
  const side = (length: number, most: number) => Math.max(1, Math.min(most, toEven(length * scale)));
  return { width: side(image.width, input.width), height: side(image.height, input.height) };
}

function fitted(image: Raster, { input }: Described, greyFile: boolean): Raster {
  const { width, height } = fittedSize(image, input);
  const shown = width === image.width && height === image.height ? image : resized(image, width, height, input.interpolation);
  const data = new Uint8Array(input.width * input.height * image.channels);
  const around = greyFile ? input.around_grey : input.around;
  for (let i = 0; i < data.length; i++) data[i] = around[i % around.length]!;
  for (let y = 0; y < height; y++) data.set(shown.data.slice(y * width * image.channels, (y + 1) * width * image.channels), y * input.width * image.channels);
  return { width: input.width, height: input.height, channels: image.channels, data };
}

/** Whether a PNG or JPEG holds grey alone, by its header: a browser shows all in colours, and the service pads the two by
 * colours of their own. */
export function isGrey(file: Uint8Array): boolean {
  if (file[0] === 0x89 && file[1] === 0x50) return file[25] === 0 || file[25] === 4;
  if (file[0] !== 0xff || file[1] !== 0xd8) return false;
  for (let at = 2; at + 9 < file.length && file[at] === 0xff; ) {
    const marker = file[at + 1]!;
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) return file[at + 9] === 1;
    at += 2 + file[at + 2]! * 256 + file[at + 3]!;
  }
  return false;
}

/** What the network is shown of an RGB picture, 0 to 255. `greyFile`: whether its file was grey. */
export function seen(image: Raster, told: Described, greyFile = false): Raster {
  const { input, framing } = told;
  if (framing === "centre" && input.native?.[0] === image.height && input.native[1] === image.width) return asTensor(image, told);
  const picture = input.channels === 1 ? grey(image) : image;
  if (framing === "fitted") return fitted(picture, told, greyFile);
  const all: Box = [0, 0, picture.width, picture.height];
  const box = framing === "centre" ? centreBox(picture, input.height, input.width, input.crop) : all;
  if (picture.width === input.width && picture.height === input.height && box.every((edge, i) => edge === all[i])) return picture;
  return resized(picture, input.width, input.height, input.interpolation, box);
}

/** (1, c, h, w): (v / 255 - mean) / std in the network's order of channels, or the bytes where the file does that itself. */
export function tensor(shown: Raster, { input }: Described): Float32Array | Uint8Array {
  const area = shown.width * shown.height;
  const raw = input.dtype === "uint8";
  const data = raw ? new Uint8Array(area * input.channels) : new Float32Array(area * input.channels);
  for (let c = 0; c < input.channels; c++) {
    const from = !raw && input.order === "BGR" ? input.channels - 1 - c : c;
    const [scale, shift] = [Math.fround(1 / (255 * input.std[c]!)), Math.fround(-input.mean[c]! / input.std[c]!)];
    for (let i = 0; i < area; i++) {
      const value = shown.data[i * shown.channels + from]!;
      data[c * area + i] = raw ? toEven(value) : Math.fround(value * scale) + shift;
    }
  }
  return data;
}
