"""Photographs that are stored on their side: EXIF's orientation, and boxes of the turned image. Torch-free.

Pixels are always those that are stored, as torchvision's and pycocotools' readers have them. Tools that apply the
orientation (Detectron2, Ultralytics, most editors of boxes) write boxes of the turned image instead. The size that
annotations state tells which of both it is, where an image is turned by a quarter and no square.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from distill.modalities.images.formats import FORMATS

UPRIGHT, QUARTERS = 1, frozenset({5, 6, 7, 8})
"""EXIF's value for an image as it is; those that exchange height and width."""
_JPEG_HEAD = 2**17
"""Bytes: EXIF stands in one of the first segments of a JPEG, of at most 64 KiB each."""
_MARKS = (b"Exif", b"eXIf", b"EXIF", b"II*\0", b"MM\0*")


def orientation_of(data: bytes) -> int:
    """EXIF's orientation of an encoded image, 1 to 8; 1 where it has none that can be read."""
    looked_at = data[:_JPEG_HEAD] if data.startswith(b"\xff\xd8") else data
    if not any(mark in looked_at for mark in _MARKS):
        return UPRIGHT
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            found = image.getexif().get(ExifTags.Base.Orientation, UPRIGHT)
    except Exception:  # Pillow's parsers raise nearly anything on hostile bytes
        return UPRIGHT
    return found if isinstance(found, int) and UPRIGHT <= found <= max(QUARTERS) else UPRIGHT


def turned(orientation: int, stored: tuple[int, int], stated: tuple[int, int]) -> bool | None:
    """Whether annotations that state the size `stated` are of the turned image, and not of the `stored` one (height,
    width each); None where that cannot be told."""
    if orientation == UPRIGHT:
        return False
    if orientation not in QUARTERS or stored[0] == stored[1] or not all(stated):
        return None
    return stated == stored[::-1]


def to_stored(
    corners: NDArray[np.float32], sizes: NDArray[np.int64], orientations: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Boxes (n, 4) in pixels of images turned by a quarter -> in pixels of the stored ones. Of each box the stored
    image's `sizes` (n, 2), height and width, and EXIF's orientation; boxes of another orientation stay as they are."""
    x1, y1, x2, y2 = corners.T
    height, width = sizes.T.astype(np.float32)
    found = {
        5: (y1, x1, y2, x2),
        6: (y1, height - x2, y2, height - x1),
        7: (width - y2, height - x2, width - y1, height - x1),
        8: (width - y2, x1, width - y1, x2),
    }
    result = corners.copy()
    for orientation, columns in found.items():
        mine = orientations == orientation
        result[mine] = np.stack(columns, 1)[mine]
    return result
