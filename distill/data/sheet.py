"""A contact sheet: what the classes look like, for people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from distill.data.images import UnreadableImage
from distill.data.opening import Raw

CLASSES, IMAGES, SIDE = 20, 8, 64


def contact_sheet(raw: Raw, path: Path) -> None:
    """Write a PNG: a row for each of the first 20 classes, with its first 8 training images, 64 pixels a side."""
    rows = [np.flatnonzero(raw.train.labels == label)[:IMAGES] for label in range(min(CLASSES, len(raw.classes)))]
    sheet = Image.new("RGB", (IMAGES * SIDE, len(rows) * SIDE), "white")
    for y, row in enumerate(rows):
        for x, i in enumerate(row):
            sheet.paste(_thumbnail(raw, int(i)), (x * SIDE, y * SIDE))
    sheet.save(path, "PNG")


def _thumbnail(raw: Raw, i: int) -> Image.Image:
    try:
        image = raw.train.images.image(i).convert("RGB")
    except UnreadableImage:
        return Image.new("RGB", (SIDE, SIDE), "red")  # its header was good, its pixels are not: shown as what it is
    scale = SIDE / max(image.size)
    image = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    tile = Image.new("RGB", (SIDE, SIDE), "white")
    tile.paste(image, ((SIDE - image.width) // 2, (SIDE - image.height) // 2))
    return tile
