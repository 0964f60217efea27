"""JPEGs decoded into an array at once, without Pillow's own image between: the same bytes in less time. Torch-free."""

from __future__ import annotations

import numpy as np
import simplejpeg
from numpy.typing import NDArray

_START = b"\xff\xd8\xff"
_AS = {"Gray": "GRAY", "YCbCr": "RGB", "RGB": "RGB"}
"""What a JPEG's own colours are read as; those of print are turned into RGB by a formula of Pillow's."""


def decoded(data: bytes, pixels: int) -> NDArray[np.uint8] | None:
    """uint8 (h, w) of a grey JPEG, (h, w, 3) of one in colour, byte for byte what Pillow makes of it: both are
    libjpeg-turbo with its exact DCT and smooth chroma. None for what is no JPEG of at most so many pixels, and for what
    libjpeg warns of or does not read, and for CMYK: Pillow shall judge it."""
    if not data.startswith(_START):
        return None
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(data)
        if height * width > pixels or space not in _AS:
            return None
        found: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, _AS[space], strict=True)
    except ValueError:
        return None
    return found[..., 0] if found.shape[2] == 1 else found
