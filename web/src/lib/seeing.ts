/** How a teacher sees pictures: the fields of its registration as they are typed, and what the service is sent. */
import type { TeacherPreprocessing } from "../api/types";

/** An empty field is left out: then the file or the architecture's default tells. */
export interface Seen {
  mean: string;
  std: string;
  input_size: string;
  interpolation: string;
  crop_pct: string;
  channel_order: string;
}
export const UNTOLD: Seen = { mean: "", std: "", input_size: "", interpolation: "", crop_pct: "", channel_order: "" };

const numbers = (text: string): number[] => text.split(/[,\s]+/).filter(Boolean).map(Number);

/** What the service is sent; null where nothing was told. */
export function told(seen: Seen): TeacherPreprocessing | null {
  const size = seen.input_size.toLowerCase().split("x").map((side) => Number(side.trim()));
  const found = {
    ...(seen.mean.trim() ? { mean: numbers(seen.mean) } : {}),
    ...(seen.std.trim() ? { std: numbers(seen.std) } : {}),
    ...(seen.input_size.trim() ? { input_size: size.length === 1 ? size[0]! : size } : {}),
    ...(seen.interpolation ? { interpolation: seen.interpolation } : {}),
    ...(seen.crop_pct.trim() ? { crop_pct: Number(seen.crop_pct) } : {}),
    ...(seen.channel_order ? { channel_order: seen.channel_order } : {}),
  };
  return Object.keys(found).length > 0 ? (found as TeacherPreprocessing) : null;
}

/** Which field cannot be read, in words; empty where all can. */
export function unreadable(seen: Seen): string {
  const lists = [["Mean", seen.mean], ["Standard deviation", seen.std]] as const;
  for (const [name, text] of lists) {
    const found = numbers(text);
    if (text.trim() && (![1, 3].includes(found.length) || found.some(Number.isNaN))) return `${name} is three numbers, such as 0.485, 0.456, 0.406.`;
    if (found.some((value) => Math.abs(value) > 1)) return `${name} is of values from 0 to 1: divide those of bytes by 255.`;
  }
  if (seen.input_size.trim() && !/^\s*\d+(\s*x\s*\d+)?\s*$/i.test(seen.input_size)) return "Input size is pixels, such as 224 or 360x480 (height first).";
  const crop = Number(seen.crop_pct);
  return seen.crop_pct.trim() && !(crop > 0 && crop <= 1) ? "Crop is a share above 0, at most 1." : "";
}
