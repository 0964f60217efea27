// What the exporter writes into the page (`distill/exports/onnx_web.py`): how the student sees, and what it says.
import type { Interpolation } from "./resample";

export type Described = {
  title: string;
  file: string;
  kind: "class" | "labels" | "mask" | "boxes";
  classes: string[];
  /** centre: the middle in the input's shape; whole: all of it, distorted; fitted: all of it, in the upper left. */
  framing: "centre" | "whole" | "fitted";
  input: {
    name: string;
    dtype: "float32" | "uint8";
    channels: 1 | 3;
    height: number;
    width: number;
    interpolation: Interpolation;
    crop: number;
    mean: number[];
    std: number[];
    order: "RGB" | "BGR";
    /** Pictures of this size are resized as tensors. */
    native: [height: number, width: number] | null;
    /** The colour around a picture that does not fill the input, and around one whose file is grey. */
    around: number[];
    around_grey: number[];
  };
  output: string;
  /** labels: from which probability on a class is said; boxes: from which score on a box is drawn. */
  threshold: number;
  palette: [number, number, number][];
};
