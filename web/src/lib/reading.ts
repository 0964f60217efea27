import type { Dataset } from "../api/types";
import { bytes, count } from "./format";

/** How far the shards of a dataset are that several workers read. */
export function progress(reading: Dataset["reading"]): string {
  if (!reading) return "A worker reads it through.";
  const read = reading.bytes ? `${bytes(reading.bytes_read)} of ${bytes(reading.bytes)}` : bytes(reading.bytes_read);
  return `Workers read it in parts: ${count(reading.parts_read)} of ${count(reading.parts)}, ${count(reading.shards_read)} of ${count(reading.shards)} shards, ${read}.`;
}

/** What a sample of the shards seems to say of all of them. */
export function preliminary(sample: NonNullable<Dataset["sample"]>): string {
  const unreadable = sample.unreadable ? `, ${count(sample.unreadable)} of them unreadable` : "";
  return `Preliminary, of ${count(sample.shards)} of ${count(sample.of_shards)} shards: ${count(sample.images)} images${unreadable}, ${count(sample.class_count)} classes seen. All shards may hold about ${count(sample.estimated_images)} images in ${bytes(sample.estimated_bytes)}.`;
}
