"""Some test images side by side: the image, its mask, what the teacher says, what the student says; and a key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from distill.tasks.segment_images.legend import Colour
from distill.tasks.segment_images.sheet import overlaid

IMAGES, SIDE, TITLE, GAP = 6, 240, 18, 4
"""How many images; the longer side of each in pixels; height of the line of titles, and of each line of the key; what
is between."""
LONGEST = 28
"""Characters of a class's name in the key."""
_QUALITY, _SWATCH = 85, 12
_FONT = ImageFont.load_default()


@dataclass(frozen=True)
class Example:
    """An image with its classes, and those that each network says, by title; all at the image's size."""

    image: Image.Image
    masks: Mapping[str, NDArray[np.int16]]


def draw(examples: Sequence[Example], classes: Sequence[str], palette: Sequence[Colour], path: Path) -> None:
    """A row an image, a column for the image and for each of its masks, laid over it, and below the colours of the
    classes that the masks show; written complete or not at all, in the format that the path's suffix names."""
    rows = [[example.image.convert("RGB"), *_laid(example, palette)] for example in examples]
    tiles = [[_scaled(picture) for picture in row] for row in rows]
    width = max(tile.width for row in tiles for tile in row) + GAP
    heights = [row[0].height + GAP for row in tiles]
    names = {number: title(number, classes[number]) for number in shown(examples)}
    key = place(list(names.values()), width * len(tiles[0]))
    lines = 1 + max((line for _, line in key), default=-1)
    sheet = Image.new("RGB", (width * len(tiles[0]), TITLE + sum(heights) + TITLE * lines), "white")
    pen = ImageDraw.Draw(sheet)
    for column, above in enumerate(("image", *examples[0].masks)):
        pen.text((column * width + 2, 3), above, fill="black")
    top = TITLE
    for row, height in zip(tiles, heights, strict=True):
        for column, tile in enumerate(row):
            sheet.paste(tile, (column * width, top))
        top += height
    for (number, name), (left, line) in zip(names.items(), key, strict=True):
        _entry(pen, (left, top + line * TITLE), palette[number], name)
    part = path.with_name("." + path.name)
    sheet.save(part, quality=_QUALITY)
    part.replace(path)


def shown(examples: Sequence[Example]) -> list[int]:
    """The classes that the masks have, ascending."""
    found = {int(value) for example in examples for mask in example.masks.values() for value in np.unique(mask)}
    return sorted(number for number in found if number >= 0)


def place(names: Sequence[str], width: int) -> list[tuple[int, int]]:
    """(left, line) of each name with its colour before it, in lines of `width` pixels."""
    places, left, line = list[tuple[int, int]](), 0, 0
    for name in names:
        wide = _SWATCH + round(_FONT.getlength(name)) + 3 * GAP
        if left and left + wide > width:
            left, line = 0, line + 1
        places.append((left, line))
        left += wide
    return places


def _entry(pen: ImageDraw.ImageDraw, corner: tuple[int, int], colour: Colour, name: str) -> None:
    left, top = corner
    pen.rectangle((left + 2, top + 3, left + _SWATCH, top + _SWATCH + 1), fill=colour, outline="black")
    pen.text((left + _SWATCH + GAP, top + 3), name, fill="black", font=_FONT)


def title(number: int, name: str) -> str:
    """The class's name, cut to `LONGEST`; its number where the sheet's font lacks letters of the name."""
    if not (name.isascii() and name.isprintable()):
        return f"class {number}"
    return name if len(name) <= LONGEST else name[: LONGEST - 3] + "..."


def _laid(example: Example, palette: Sequence[Colour]) -> list[Image.Image]:
    return [overlaid(example.image, mask, palette) for mask in example.masks.values()]


def _scaled(picture: Image.Image) -> Image.Image:
    scale = SIDE / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BICUBIC)
