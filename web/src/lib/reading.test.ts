import { expect, test } from "vitest";

import { preliminary, progress } from "./reading";

test("how far the parts of a dataset are is said in parts, shards and bytes, of all where that is known", () => {
  const reading = { parts: 160, parts_read: 37, shards: 1282, shards_read: 301, bytes_read: 35e9, bytes: 150e9 };
  expect(progress(reading)).toBe("Workers read it in parts: 37 of 160, 301 of 1,282 shards, 35.0 GB of 150 GB.");
  expect(progress({ ...reading, bytes: null })).toContain("shards, 35.0 GB.");
  expect(progress(null)).toBe("A worker reads it through.");
});

test("a sample says what it rests on, and that it is preliminary", () => {
  const sample = { shards: 16, of_shards: 1282, bytes: 1.8e9, images: 15987, estimated_bytes: 150e9, estimated_images: 1281000, unreadable: 0, labelled: 15987, class_count: 1000, classes: [], heights: null, widths: null };
  expect(preliminary(sample)).toBe("Preliminary, of 16 of 1,282 shards: 15,987 images, 1,000 classes seen. All shards may hold about 1,281,000 images in 150 GB.");
  expect(preliminary({ ...sample, unreadable: 3 })).toContain("15,987 images, 3 of them unreadable, 1,000 classes");
});
