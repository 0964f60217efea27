"""What a network wants to see; `distill.models.preprocessing` finds it. Here, so that loader processes need no timm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Interpolation = Literal["nearest", "bilinear", "bicubic"]


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """x = (v / 255 - mean) / std per channel, for v the image's bytes resized to `size` = (h, w).

    `mean` and `std` have `channels` entries. `crop`: the fraction of a large image's shorter side that evaluation
    keeps (a centre crop); images no larger than `size` are never cropped for evaluation.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: tuple[int, int]
    interpolation: Interpolation = "bilinear"
    channels: int = 3
    crop: float = 1.0
