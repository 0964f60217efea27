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
    which counts as (c, h, w) (**our choice**); `channels_first` says that it is known to be.
    """

    shape: tuple[int, ...]
    channels_first: bool = False

    @property
    def is_map(self) -> bool:
        return len(self.shape) == 3

    @property
    def channels_last(self) -> bool:
        if not self.is_map:
            return len(self.shape) == 2
        if self.channels_first:
            return False
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

    @property
    def canonical(self) -> Layout:
        """The layout after `canonise`: (c, h, w) or (t, c)."""
        return Layout((self.channels, *self.size), True) if self.is_map else Layout((self.tokens, self.channels))

    def canonise(self, feature: Tensor) -> Tensor:
        """(n, *shape) -> a map (n, c, h, w) where it is one, tokens (n, t, c) otherwise."""
        return self.as_map(feature) if self.is_map else self.as_tokens(feature)

    def restore(self, canonical: Tensor) -> Tensor:
        """The inverse of `canonise`."""
        if self.is_map:
            return canonical.movedim(1, -1) if self.channels_last else canonical
        if self.channels_last:
            return canonical
        return canonical.movedim(-1, 1).reshape(canonical.shape[0], *self.shape)

    def as_map(self, feature: Tensor) -> Tensor:
        """(n, c, h, w) of a map feature (n, *shape); h and w are the tensor's own."""
        return feature.movedim(-1, 1) if self.channels_last else feature

    def as_tokens(self, feature: Tensor) -> Tensor:
        """(n, t, c) of any feature (n, *shape)."""
        if self.channels_last:
            return feature.flatten(1, -2)
        return feature.flatten(2).movedim(1, -1) if feature.dim() > 2 else feature[:, None]


class CommonResolution:
    """Where a student and a teacher feature meet: two maps at the smaller size, axis by axis; any other mix as
    tokens, a map's positions being tokens in reading order, at the smaller count (**our choice**: class and patch
    tokens are tokens alike, so a class token is averaged with its neighbours when token counts differ)."""

    def __init__(self, student: Layout, teacher: Layout) -> None:
        self.student_layout, self.teacher_layout = student, teacher
        self.maps = student.is_map and teacher.is_map
        self.size = smaller(student.size, teacher.size) if self.maps else (min(student.tokens, teacher.tokens),)

    def student(self, feature: Tensor) -> Tensor:
        """(n, *student shape) -> (n, c_s, h, w) or (n, t, c_s)."""
        return self._pool(feature, self.student_layout)

    def teacher(self, feature: Tensor) -> Tensor:
        """(n, *teacher shape) -> (n, c_t, h, w) or (n, t, c_t)."""
        return self._pool(feature, self.teacher_layout)

    def match(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Two pooled features at the smaller of their own sizes: at another input resolution than the example's, one
        may be larger than foreseen."""
        if self.maps:
            return pool_map(a, tuple(b.shape[2:])), pool_map(b, tuple(a.shape[2:]))
        return pool_tokens(a, b.shape[1]), pool_tokens(b, a.shape[1])

    def _pool(self, feature: Tensor, own: Layout) -> Tensor:
        if self.maps:
            return pool_map(own.as_map(feature), self.size)
        return pool_tokens(own.as_tokens(feature), self.size[0])


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


def grid_rows(canonical: Tensor, grid: int) -> Tensor:
    """(n, c, h, w) averaged to at most grid x grid positions, or (n, t, c) to at most grid^2 tokens, as rows (n, d).

    What losses without a projector compare (**our choice**, so that n x d stays cheap whatever the resolution).
    """
    is_map = canonical.dim() == 4
    return (pool_map(canonical, (grid, grid)) if is_map else pool_tokens(canonical, grid**2)).flatten(1)
