"""From bytes to a network's input, on whole batches, in as few passes over memory as there can be."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from distill.modalities.images.preprocessing import Preprocessing

_LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R 601, as Pillow converts RGB to L


class Normaliser:
    """x = (v / 255 - mean) / std as a product and a sum: uint8 (n, c, h, w) -> float32 (n, channels, *size).

    Resizes whole images to `size` where they have another (antialiased; values stay within 0 to 255), repeats grey or
    weighs colours (ITU-R 601) where the channels differ. Pictures are RGB; of a BGR network the channels are exchanged.
    """

    def __init__(self, wanted: Preprocessing, device: torch.device, channels_last: bool = False) -> None:
        mean = torch.tensor(wanted.mean, dtype=torch.float64)
        std = torch.tensor(wanted.std, dtype=torch.float64)
        shape = (1, wanted.channels, 1, 1)
        self.scale = (1 / (255 * std)).float().view(shape).to(device)
        self.shift = (-mean / std).float().view(shape).to(device)
        self.luminance = torch.tensor(_LUMINANCE, device=device).view(1, 3, 1, 1)
        self.wanted = wanted
        self.format = torch.channels_last if channels_last else torch.contiguous_format

    def __call__(self, pixels: Tensor) -> Tensor:
        x = pixels.to(torch.float32, memory_format=self.format)
        if x.shape[1] == 3 and self.wanted.channels == 1:
            x = (x * self.luminance).sum(1, keepdim=True)
        if tuple(x.shape[-2:]) != self.wanted.size:
            x = self._resized(x)
        if self.wanted.channel_order == "BGR":
            x = x.flip(1)
        # In place, since a batch of floats that is made anew costs more than the arithmetic: x is no caller's by now.
        # Grey becomes colour by broadcasting.
        own = x is not pixels and x.shape[1] == self.wanted.channels
        x = torch.mul(x, self.scale, out=x if own else None).add_(self.shift)
        return x.contiguous(memory_format=self.format)

    def _resized(self, x: Tensor) -> Tensor:
        size, mode = self.wanted.size, self.wanted.interpolation
        if mode == "nearest":
            return F.interpolate(x, size=size, mode="nearest-exact")
        return F.interpolate(x, size=size, mode=mode, align_corners=False, antialias=True).clamp_(0, 255)
