"""Some test images side by side: the image, its mask, what the teacher says, what the student says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from distill.tasks.segment_images.legend import Colour
from distill.tasks.segment_images.sheet import overlaid

IMAGES, SIDE, TITLE, GAP = 6, 240, 18, 4
"""How many images; the longer side of each in pixels; height of the line of titles; what is between."""
_QUALITY = 85


@dataclass(frozen=True)
class Example:
    """An image with its classes, and those that each network says, by title; all at the image's size."""

    image: Image.Image
    masks: Mapping[str, NDArray[np.int16]]


def draw(examples: Sequence[Example], palette: Sequence[Colour], path: Path) -> None:
    """A row an image, a column for the image and for each of its masks, laid over it; written complete or not at all,
    in the format that the path's suffix names."""
    rows = [[example.image.convert("RGB"), *_laid(example, palette)] for example in examples]
    tiles = [[_scaled(picture) for picture in row] for row in rows]
    width = max(tile.width for row in tiles for tile in row) + GAP
    heights = [row[0].height + GAP for row in tiles]
    sheet = Image.new("RGB", (width * len(tiles[0]), TITLE + sum(heights)), "white")
    pen = ImageDraw.Draw(sheet)
    for column, title in enumerate(("image", *examples[0].masks)):
        pen.text((column * width + 2, 3), title, fill="black")
    top = TITLE
    for row, height in zip(tiles, heights, strict=True):
        for column, tile in enumerate(row):
            sheet.paste(tile, (column * width, top))
        top += height
    part = path.with_name("." + path.name)
    sheet.save(part, quality=_QUALITY)
    part.replace(path)


def _laid(example: Example, palette: Sequence[Colour]) -> list[Image.Image]:
    return [overlaid(example.image, mask, palette) for mask in example.masks.values()]


def _scaled(picture: Image.Image) -> Image.Image:
    scale = SIDE / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BICUBIC)
