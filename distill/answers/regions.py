"""Where in their images the labelled objects are."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Regions:
    """corners: (n, m, 4) x1 y1 x2 y2 as shares of the input's width and height. there: (n, m) bool, whether the row is
    an object that is learnt from; ignored: (n, m) bool, whether it is a part of the image that is neither object nor
    background."""

    corners: Tensor
    there: Tensor
    ignored: Tensor
