"""JPEGs decoded into an array at once, without Pillow's own image between: the same bytes in less time. Torch-free."""

from __future__ import annotations

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from distill.modalities.images.reduced import Decoded, Reducing, whole

_START = b"\xff\xd8\xff"
_AS = {"Gray": "GRAY", "YCbCr": "RGB", "RGB": "RGB"}
"""What a JPEG's own colours are read as; those of print are turned into RGB by a formula of Pillow's."""


def decoded(data: bytes, pixels: int, reducing: Reducing = whole) -> Decoded | None:
    """A grey JPEG or one in colour, at its size byte for byte what Pillow makes of it: both are libjpeg-turbo with its
    exact DCT and smooth chroma. `reducing` is asked for its size. None for what is no JPEG of at most so many pixels,
    and for what libjpeg warns of or does not read, and for CMYK: Pillow shall judge it."""
    if not data.startswith(_START):
        return None
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(data)
        if height * width > pixels or space not in _AS:
            return None
        divisor = reducing((height, width))
        least = (-(-height // divisor), -(-width // divisor))
        found: NDArray[np.uint8] = simplejpeg.decode_jpeg(
            data, _AS[space], min_height=least[0], min_width=least[1], strict=True
        )
    except ValueError:
        return None
    if found.shape[:2] != least:  # libjpeg has other fractions too, which another simplejpeg may choose
        return None
    return Decoded(found[..., 0] if found.shape[2] == 1 else found, (height, width), divisor)
