"""A contact sheet of images under their masks. The same dataset gives the same bytes. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from distill.errors import InvalidDataset
from distill.modalities.images.sheet import Sheet
from distill.modalities.images.sources import UnreadableImage
from distill.tasks.segment_images.legend import Colour
from distill.tasks.segment_images.opening import Raw

CLASSES, COLUMNS, TILE = 50, 4, 128
OPACITY = 0.5
_QUALITY = 80


def overlaid(image: Image.Image, classes: NDArray[np.int16], palette: Sequence[Colour]) -> Image.Image:
    """The image (RGB), half of each labelled pixel's colour replaced by its class's; pixels without a class stay."""
    picture = np.asarray(image.convert("RGB"), np.float32)
    labelled = (classes >= 0)[:, :, None]
    colours = np.array(palette, np.float32)[classes.clip(min=0)]
    mixed = np.where(labelled, (1 - OPACITY) * picture + OPACITY * colours, picture)
    return Image.fromarray(mixed.round().astype(np.uint8))


def contact_sheet(raw: Raw, path: Path) -> Sheet:
    """Write a row for each of the first 50 classes: the 4 training images with most of its pixels, 128 pixels a side,
    in the format that the path's suffix names."""
    palette, pixels = raw.legend.coloured(), raw.train.pixels
    sheet = Image.new("RGB", (COLUMNS * TILE, min(CLASSES, len(raw.classes)) * TILE), "white")
    for row in range(min(CLASSES, len(raw.classes))):
        most = np.argsort(-pixels[:, row], kind="stable")[:COLUMNS]
        for column, i in enumerate(i for i in most.tolist() if pixels[i, row]):
            sheet.paste(_tile(raw, i, palette), (column * TILE, row * TILE))
    sheet.save(path, quality=_QUALITY)
    return Sheet(sheet.height // TILE, COLUMNS, TILE)


def _tile(raw: Raw, i: int, palette: Sequence[Colour]) -> Image.Image:
    try:
        shown = overlaid(raw.train.images.image(i), raw.train.masks.classes(i), palette)
    except (UnreadableImage, InvalidDataset):
        return Image.new("RGB", (TILE, TILE), "red")  # its header was good, its pixels are not
    scale = TILE / max(shown.size)
    method = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BICUBIC
    shown = shown.resize((max(1, round(shown.width * scale)), max(1, round(shown.height * scale))), method)
    tile = Image.new("RGB", (TILE, TILE), "white")
    tile.paste(shown, ((TILE - shown.width) // 2, (TILE - shown.height) // 2))
    return tile
