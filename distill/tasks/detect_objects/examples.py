"""Some test images side by side: the objects, what the teacher says, what the student says; and a key."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from distill.tasks.detect_objects.detections import SURE, Detections

IMAGES, SIDE, TITLE, GAP = 6, 240, 18, 4
"""How many images; the longer side of each in pixels; height of a line of text; what is between."""
LONGEST = 28
"""Characters of a class's name."""
_QUALITY, _SWATCH = 85, 12
_FONT = ImageFont.load_default()
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Example:
    """An image and its boxes, by title: the objects' and those that each network says, in pixels of the image."""

    image: Image.Image
    boxes: Mapping[str, Detections]


def colour(number: int) -> Colour:
    """Of a class: hues that turn by the golden ratio, so that neighbours differ."""
    red, green, blue = colorsys.hsv_to_rgb(number * 0.618034 % 1, 0.9, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


def draw(examples: Sequence[Example], classes: Sequence[str], path: Path) -> None:
    """A row an image, a column for each title; below the colours of the classes that are drawn. Written complete or not
    at all, in the format that the path's suffix names."""
    rows = [[_drawn(example.image, boxes) for boxes in example.boxes.values()] for example in examples]
    width = max(tile.width for row in rows for tile in row) + GAP
    heights = [row[0].height + GAP for row in rows]
    shown = sorted({n for one in examples for boxes in one.boxes.values() for n in _sure(boxes).classes.tolist()})
    sheet = Image.new("RGB", (width * len(rows[0]), TITLE * (1 + len(shown)) + sum(heights)), "white")
    pen = ImageDraw.Draw(sheet)
    for column, title in enumerate(examples[0].boxes):
        pen.text((column * width + 2, 3), title, fill="black", font=_FONT)
    top = TITLE
    for row, height in zip(rows, heights, strict=True):
        for column, tile in enumerate(row):
            sheet.paste(tile, (column * width, top))
        top += height
    for number in shown:
        pen.rectangle((2, top + 3, _SWATCH, top + _SWATCH + 1), fill=colour(number), outline="black")
        pen.text((_SWATCH + GAP, top + 3), _name(number, classes[number]), fill="black", font=_FONT)
        top += TITLE
    part = path.with_name("." + path.name)
    sheet.save(part, quality=_QUALITY)
    part.replace(path)


def _sure(boxes: Detections) -> Detections:
    return boxes.above(SURE)


def _name(number: int, name: str) -> str:
    """Cut to `LONGEST`; the number where the sheet's font lacks letters of the name."""
    if not (name.isascii() and name.isprintable()):
        return f"class {number}"
    return name if len(name) <= LONGEST else name[: LONGEST - 3] + "..."


def _drawn(image: Image.Image, boxes: Detections) -> Image.Image:
    scale = SIDE / max(image.size)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    picture = image.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    pen, sure = ImageDraw.Draw(picture), _sure(boxes)
    for corners, number in zip((sure.corners * scale).tolist(), sure.classes.tolist(), strict=True):
        pen.rectangle(tuple(corners), outline=colour(number), width=2)
    return picture
