"""What a network wants to see; `distill.models.preprocessing` finds it. Here, so that loader processes need no timm."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from torch import Tensor

Interpolation = Literal["nearest", "bilinear", "bicubic"]
ChannelOrder = Literal["RGB", "BGR"]


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """x = (v / 255 - mean) / std per channel, for v the image's bytes resized to `size` = (h, w).

    `mean` and `std` have `channels` entries. `crop`: the fraction of a large image's shorter side that evaluation
    keeps (a centre crop); images no larger than `size` are never cropped for evaluation. `pixel_range`: which values of
    16-bit grey are the bytes 0 and 255; None: their upper byte is taken. `channel_order`: of a colour network's input,
    in which `mean` and `std` stand too.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: tuple[int, int]
    interpolation: Interpolation = "bilinear"
    channels: int = 3
    crop: float = 1.0
    pixel_range: tuple[int, int] | None = None
    channel_order: ChannelOrder = "RGB"

    def __str__(self) -> str:
        """As the key of a Q curve has it: what is as in earlier releases is left out, so that their curves are found
        again."""
        return repr(self).replace(", pixel_range=None", "").replace(", channel_order='RGB'", "")

    @property
    def rgb_mean(self) -> tuple[float, ...]:
        """`mean` in the order of a picture's own channels."""
        return self.mean[::-1] if self.channel_order == "BGR" else self.mean

    @property
    def mode(self) -> Literal["L", "RGB"]:
        """Pillow's mode of what the network sees."""
        return "L" if self.channels == 1 else "RGB"

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
        """What an `auto` of the configuration became: a side, or [h, w] where they differ."""
        height, width = self.size
        return {"image_size": height if height == width else [height, width]}
