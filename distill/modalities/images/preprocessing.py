"""What a network wants to see; `distill.models.preprocessing` finds it. Here, so that loader processes need no timm."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from torch import Tensor

Interpolation = Literal["nearest", "bilinear", "bicubic"]


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """x = (v / 255 - mean) / std per channel, for v the image's bytes resized to `size` = (h, w).

    `mean` and `std` have `channels` entries. `crop`: the fraction of a large image's shorter side that evaluation
    keeps (a centre crop); images no larger than `size` are never cropped for evaluation. `pixel_range`: which values of
    16-bit grey are the bytes 0 and 255; None: their upper byte is taken.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: tuple[int, int]
    interpolation: Interpolation = "bilinear"
    channels: int = 3
    crop: float = 1.0
    pixel_range: tuple[int, int] | None = None

    def example(self, count: int) -> Tensor:
        """Inputs (count, c, h, w) of standard normal noise, which draw nothing from torch's global generator."""
        import torch  # here, because loader processes need none of it

        return torch.randn(count, self.channels, *self.size, generator=torch.Generator().manual_seed(0))

    def one(self) -> Tensor:
        """A single input of the size that costs are told for."""
        return self.example(1)

    def at(self, side: int) -> Preprocessing:
        """The same for images of `side` x `side` pixels."""
        return replace(self, size=(side, side))

    def resolved(self) -> dict[str, Any]:
        """What an `auto` of the configuration became."""
        return {"image_size": self.size[0]}
