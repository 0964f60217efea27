"""A contact sheet: what the classes look like, for people. The same dataset gives the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from distill.modalities.images.opening import Raw
from distill.modalities.images.sources import UnreadableImage
from distill.unlabelled import NO_LABEL

CLASSES, COLUMNS, TILE = 50, 8, 64
_QUALITY = 80


@dataclass(frozen=True, slots=True)
class Sheet:
    """A picture of `rows` x `columns` square tiles of `tile` pixels: row i has the first training images of class i;
    the last row, where there are images without labels, the first of those."""

    rows: int
    columns: int
    tile: int


def contact_sheet(raw: Raw, path: Path) -> Sheet:
    """Write a row for each of the first 50 classes, with its first 8 training images, 64 pixels a side, in the format
    that the path's suffix names (WebP: a hundred KB where PNG takes a megabyte)."""
    shown = [*range(min(CLASSES, len(raw.classes))), *([NO_LABEL] if raw.train.unlabelled else [])]
    return sheet_of(raw, [np.flatnonzero(raw.train.labels == label) for label in shown], path)


def sheet_of(raw: Raw, rows: Sequence[NDArray[np.int64]], path: Path) -> Sheet:
    """The same of any rows of training images, of each the first 8."""
    rows = [row[:COLUMNS] for row in rows]
    sheet = Image.new("RGB", (COLUMNS * TILE, len(rows) * TILE), "white")
    for y, row in enumerate(rows):
        for x, i in enumerate(row):
            sheet.paste(_thumbnail(raw, int(i)), (x * TILE, y * TILE))
    sheet.save(path, quality=_QUALITY)
    return Sheet(len(rows), COLUMNS, TILE)


def _thumbnail(raw: Raw, i: int) -> Image.Image:
    try:
        image = raw.train.images.image(i).convert("RGB")
    except UnreadableImage:
        return Image.new("RGB", (TILE, TILE), "red")  # its header was good, its pixels are not: shown as what it is
    scale = TILE / max(image.size)
    # Pixels of a digit of 8 x 8 are what there is to see; a photograph is smoothed.
    method = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BICUBIC
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    image = image.resize(size, method, reducing_gap=None if scale > 1 else 2.0)
    tile = Image.new("RGB", (TILE, TILE), "white")
    tile.paste(image, ((TILE - image.width) // 2, (TILE - image.height) // 2))
    return tile
