"""Feature layouts of every family brought to two: maps (n, c, h, w) and tokens (n, t, c)."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """What a feature's axes mean. `shape` is one sample's, as a layer reports it.

    Three axes are a map (c, h, w), or (h, w, c) where the first two are equal and the last two are not (Swin and
    ConvNeXt write channels last); two are tokens (t, c); one is a single token. With four or more axes, the first is
    the channels and the others together the tokens. Square maps tell the two map layouts apart unless c = h = w,
    which counts as (c, h, w) (**our choice**).
    """

    shape: tuple[int, ...]

    @property
    def is_map(self) -> bool:
        return len(self.shape) == 3

    @property
    def channels_last(self) -> bool:
        if not self.is_map:
            return len(self.shape) == 2
        first, second, third = self.shape
        return first == second != third

    @property
    def channels(self) -> int:
        return self.shape[-1] if self.channels_last else self.shape[0]

    @property
    def size(self) -> tuple[int, ...]:
        """(h, w) of a map, (t,) of tokens."""
        if self.is_map:
            return self.shape[:2] if self.channels_last else self.shape[1:]
        return (self.tokens,)

    @property
    def tokens(self) -> int:
        count = 1
        for side in self.shape[:-1] if self.channels_last else self.shape[1:]:
            count *= side
        return count

    def as_map(self, feature: Tensor) -> Tensor:
        """(n, c, h, w) of a map feature (n, *shape); h and w are the tensor's own."""
        return feature.movedim(-1, 1) if self.channels_last else feature

    def as_tokens(self, feature: Tensor) -> Tensor:
        """(n, t, c) of any feature (n, *shape)."""
        if self.channels_last:
            return feature.flatten(1, -2)
        return feature.flatten(2).movedim(1, -1) if feature.dim() > 2 else feature[:, None]


def smaller(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """Axis by axis the smaller of two sizes."""
    return tuple(min(x, y) for x, y in zip(a, b, strict=True))


def pool_map(feature: Tensor, size: tuple[int, ...]) -> Tensor:
    """(n, c, h, w) averaged down to at most `size` (h', w'); never enlarged."""
    height, width = smaller(tuple(feature.shape[2:]), size)
    if (height, width) == tuple(feature.shape[2:]):
        return feature
    return F.adaptive_avg_pool2d(feature, (height, width))


def pool_tokens(feature: Tensor, count: int) -> Tensor:
    """(n, t, c) averaged over runs of neighbouring tokens down to at most `count`; never enlarged."""
    if feature.shape[1] <= count:
        return feature
    return F.adaptive_avg_pool1d(feature.movedim(1, -1), count).movedim(-1, 1)
