"""A contact sheet of images with their boxes. The same dataset gives the same bytes. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from distill.modalities.images.sheet import Sheet
from distill.modalities.images.sources import UnreadableImage
from distill.tasks.detect_objects.boxes import Boxes
from distill.tasks.detect_objects.opening import Raw
from distill.tasks.detect_objects.palette import Colour, colours

CLASSES, COLUMNS, TILE = 50, 4, 192
_QUALITY = 80
_DASH = 4


def drawn(image: Image.Image, boxes: Boxes, palette: Sequence[Colour], scale: float, line: int = 1) -> Image.Image:
    """The image (RGB), resized by `scale`, with the outlines of its boxes, the smallest on top; dashed where a box is
    ignored."""
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    method = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BICUBIC
    shown = image.convert("RGB").resize(size, method)
    pen = ImageDraw.Draw(shown)
    corners = boxes.corners.astype(np.float64) * (np.array(size * 2) / np.array([image.width, image.height] * 2))
    for i in np.argsort(-boxes.areas, kind="stable").tolist():
        left, top, right, bottom = corners[i].tolist()
        frame = (
            round(left),
            round(top),
            max(round(left) + 1, round(right) - 1),
            max(round(top) + 1, round(bottom) - 1),
        )
        colour = palette[int(boxes.classes[i])]
        if boxes.ignored[i]:
            _dashed(pen, frame, colour)
        else:
            pen.rectangle(frame, outline=colour, width=line)
    return shown


def contact_sheet(raw: Raw, path: Path) -> Sheet:
    """Write a row for each of the first 50 classes: 4 training images with boxes of it, those first whose largest box
    of it takes most of the image, 192 pixels a side, in the format that the path's suffix names."""
    palette, rows = colours(len(raw.classes)), min(CLASSES, len(raw.classes))
    sheet = Image.new("RGB", (COLUMNS * TILE, rows * TILE), "white")
    for row in range(rows):
        for column, i in enumerate(_shown(raw, row)):
            sheet.paste(_tile(raw, i, palette), (column * TILE, row * TILE))
    sheet.save(path, quality=_QUALITY)
    return Sheet(rows, COLUMNS, TILE)


def _shown(raw: Raw, number: int) -> list[int]:
    """The images whose largest box of the class takes the most of them."""
    objects, sizes = raw.train.objects, raw.train.sizes
    image = np.repeat(np.arange(len(raw.train)), np.diff(objects.starts))
    shares = objects.boxes.areas / sizes.prod(1)[image]
    largest = np.zeros(len(raw.train))
    of_class = objects.boxes.classes == number
    np.maximum.at(largest, image[of_class], shares[of_class])
    order = np.argsort(-largest, kind="stable")[:COLUMNS]
    return [i for i in order.tolist() if largest[i] > 0]


def _tile(raw: Raw, i: int, palette: Sequence[Colour]) -> Image.Image:
    try:
        image = raw.train.images.image(i)
    except UnreadableImage:
        return Image.new("RGB", (TILE, TILE), "red")  # its header was good, its pixels are not
    shown = drawn(image, raw.train.boxes(i), palette, (TILE - 2) / max(image.size))
    tile = Image.new("RGB", (TILE, TILE), "white")
    tile.paste(shown, ((TILE - shown.width) // 2, (TILE - shown.height) // 2))
    return tile


def _dashed(pen: ImageDraw.ImageDraw, frame: tuple[int, int, int, int], colour: Colour) -> None:
    left, top, right, bottom = frame
    for x in range(left, right, 2 * _DASH):
        for y in (top, bottom):
            pen.line((x, y, min(x + _DASH, right), y), fill=colour)
    for y in range(top, bottom, 2 * _DASH):
        for x in (left, right):
            pen.line((x, y, x, min(y + _DASH, bottom)), fill=colour)
