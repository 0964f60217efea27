"""A network that is shown bytes: what evaluation does to pixels before it, as a part of it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from distill.models import Preprocessing


class FromPixels(nn.Module):
    """uint8 (n, c, h, w) of the network's input size, colours as RGB -> what the network gives of
    (v / 255 - mean) / std, in its own order of channels."""

    scale: Tensor
    shift: Tensor

    def __init__(self, network: nn.Module, how: Preprocessing) -> None:
        super().__init__()
        self.network, self.bgr = network, how.channel_order == "BGR"
        mean, std = (torch.tensor(each, dtype=torch.float64).view(1, -1, 1, 1) for each in (how.mean, how.std))
        self.register_buffer("scale", (1 / (255 * std)).float())
        self.register_buffer("shift", (-mean / std).float())

    def forward(self, pixels: Tensor) -> Tensor:
        x = pixels.float()
        x = x.flip(1) if self.bgr else x
        found: Tensor = self.network(x * self.scale + self.shift)
        return found

    def encode(self, images: Tensor) -> Tensor:
        """The bytes, rounded, of what the network would be shown."""
        pixels = ((images - self.shift) / self.scale).round().clamp(0, 255).to(torch.uint8)
        return pixels.flip(1) if self.bgr else pixels
