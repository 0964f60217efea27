"""By how much a picture is decoded smaller than it is, for a crop that is shown smaller still. Torch-free."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from distill.modalities.images.preprocessing import Preprocessing

if TYPE_CHECKING:
    from distill.modalities.images.crops import Box  # whose module needs torch

GAP = 2.0
"""How many times as large as a network's input a crop stays at least on both sides. At 2 its pixels differ from those
of a whole picture by less than half of what bilinear and bicubic differ by; at 1 they differ by more (decision 0038).
"""
_DIVISORS = (8, 4, 2)
"""Those of libjpeg whose pixels are the means of squares of 8 x 8, 4 x 4 and 2 x 2 pixels, and quick to compute."""
Reducing = Callable[[tuple[int, int]], int]
"""(height, width) of a picture -> by what to divide both sides: 1, 2, 4 or 8."""


def whole(size: tuple[int, int]) -> int:
    """Not smaller."""
    return 1


@dataclass(frozen=True, slots=True)
class Decoded:
    """`pixels`, uint8 (ceil(h / divisor), ceil(w / divisor)) of grey or with 3 channels at the end, which may be
    read-only, of a picture of `size` = (h, w). Point (x, y) of the picture lies at (x / divisor, y / divisor)."""

    pixels: NDArray[np.uint8]
    size: tuple[int, int]
    divisor: int = 1


def as_it_is(pixels: NDArray[np.uint8]) -> Decoded:
    """Pixels at their own size."""
    return Decoded(pixels, (pixels.shape[0], pixels.shape[1]))


def divisor(box: Box, wanted: Sequence[Preprocessing]) -> int:
    """The largest at which the box is still `GAP` times as high and as wide as every input that is made of it; 1 where
    one is made by `nearest`, which shows single pixels and no means."""
    if any(how.interpolation == "nearest" for how in wanted):
        return 1
    height, width = max(how.size[0] for how in wanted), max(how.size[1] for how in wanted)
    room = min((box[3] - box[1]) / height, (box[2] - box[0]) / width) / GAP
    return next((each for each in _DIVISORS if each <= room), 1)
