// @vitest-environment node
import { describe, expect, test } from "vitest";

import { boxesOf, classesOf, labelsOf, maskOf, sharesOf } from "./answers";
import type { Described } from "./described";
import cases from "./pillow.json";
import { type Interpolation, type Raster, resized } from "./resample";
import { centreBox, fittedSize, grey, isGrey, seen, tensor, toEven } from "./seeing";

const raster = (width: number, height: number, channels: number, data: number[]): Raster => ({ width, height, channels, data: Uint8Array.from(data) });
const told = (changes: Partial<Described> = {}, input: Partial<Described["input"]> = {}): Described => ({
  title: "",
  file: "student",
  kind: "class",
  classes: ["a", "b", "c"],
  framing: "centre",
  output: "logits",
  threshold: 0.5,
  palette: [],
  ...changes,
  input: { name: "image", dtype: "float32", channels: 3, height: 2, width: 2, interpolation: "bilinear", crop: 1, mean: [0, 0, 0], std: [1, 1, 1], order: "RGB", native: null, around: [7, 8, 9], around_grey: [8], ...input },
});

describe("resizing", () => {
  test.each(cases)("$how to $size of $box is Pillow's, byte for byte", ({ picture, how, size, box, wanted }) => {
    const [width, height] = size as [number, number];
    const found = resized(raster(picture.width, picture.height, 3, picture.data), width, height, how as Interpolation, box as unknown as [number, number, number, number]);
    expect([...found.data]).toEqual(wanted);
  });

  test("halves go to the even number, as in Python", () => expect([0.5, 1.5, 2.5, 2.4, 2.6].map(toEven)).toEqual([0, 2, 2, 2, 3]));
});

describe("seeing", () => {
  test("the centre in the input's shape, less the edge of a larger picture", () => {
    expect(centreBox(raster(10, 4, 3, []), 2, 2, 1)).toEqual([3, 0, 7, 4]);
    expect(centreBox(raster(10, 4, 3, []), 2, 2, 0.5)).toEqual([4, 1, 6, 3]);
    expect(centreBox(raster(2, 2, 3, []), 2, 2, 0.5)).toEqual([0, 0, 2, 2]);
  });

  test("grey is Pillow's luminance", () => expect([...grey(raster(2, 1, 3, [255, 0, 0, 10, 200, 30])).data]).toEqual([76, 124]));

  test("what is left of a fitted picture has the colour around", () => {
    const shown = seen(raster(2, 1, 3, [1, 2, 3, 4, 5, 6]), told({ framing: "fitted" }));
    expect([...shown.data]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 7, 8, 9]);
    expect([...seen(raster(2, 1, 3, [1, 1, 1, 4, 4, 4]), told({ framing: "fitted" }), true).data]).toEqual([1, 1, 1, 4, 4, 4, 8, 8, 8, 8, 8, 8]);
    expect(fittedSize({ width: 400, height: 100 }, { width: 64, height: 64 })).toEqual({ width: 64, height: 16 });
  });

  test("a file says whether it is grey", () => {
    const png = (kind: number) => Uint8Array.from({ length: 30 }, (_, i) => (i === 25 ? kind : ([0x89, 0x50][i] ?? 0)));
    expect([0, 2, 3, 4, 6].map((kind) => isGrey(png(kind)))).toEqual([true, false, false, true, false]);
    const jpeg = (parts: number) => Uint8Array.from([0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 1, 0xff, 0xc2, 0, 11, 8, 0, 5, 0, 5, parts, 0, 0, 0]);
    expect([isGrey(jpeg(1)), isGrey(jpeg(3)), isGrey(Uint8Array.of(1, 2, 3))]).toEqual([true, false, false]);
  });

  test("channels come apart, in the network's order, normalised; or as they are where the file does that", () => {
    const picture = raster(2, 2, 3, [255, 0, 0, 255, 0, 0, 0, 0, 255, 0, 0, 255]);
    const [blue, red] = [tensor(picture, told({}, { order: "BGR", mean: [0.5, 0, 0], std: [0.5, 1, 1] })).slice(0, 4), tensor(picture, told({}, { dtype: "uint8", order: "BGR" })).slice(0, 4)];
    [-1, -1, 1, 1].forEach((value, i) => expect(blue[i]).toBeCloseTo(value, 6));
    expect([...red]).toEqual([255, 255, 0, 0]);
  });
});

describe("answers", () => {
  const output = (dims: number[], data: number[]) => ({ dims, data: Float32Array.from(data) });

  test("classes by softmax, labels by sigmoid", () => {
    const found = classesOf(output([1, 3], [0, Math.log(2), Math.log(5)]), told());
    expect(found.map(({ label }) => label)).toEqual(["c", "b", "a"]);
    expect(found[0]!.score).toBeCloseTo(5 / 8, 6);
    expect(labelsOf(output([1, 3], [0, 100, -100]), told()).map(({ score }) => score)).toEqual([1, 0.5, expect.closeTo(0, 9)]);
  });

  test("boxes in the picture's pixels, cut at its border, without the empty rows", () => {
    const rows = [1, 0, 5, 1, 0.75, 1, 0, 0, 0, 0, 0, -1];
    const [box, ...more] = boxesOf(output([1, 2, 6], rows), told({}, { width: 4, height: 4 }), { width: 40, height: 20 });
    expect(box).toEqual({ index: 1, label: "b", score: 0.75, corners: [10, 0, 40, 10] });
    expect(more).toEqual([]);
  });

  test("a mask at the picture's size, by logits between pixels", () => {
    const mask = maskOf(output([1, 2, 1, 2], [1, 0, 0, 1]), { width: 4, height: 1 });
    expect([...mask]).toEqual([0, 0, 1, 1]);
    expect(sharesOf(mask, ["a", "b", "c"])).toEqual([{ index: 0, label: "a", score: 0.5 }, { index: 1, label: "b", score: 0.5 }]);
  });
});
