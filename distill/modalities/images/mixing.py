"""MixUp and CutMix by torchvision v2: student and teacher see the same mixed pictures, each in its normalisation and
size."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from torch import Tensor

from distill.modalities.images.loader import Batch, Loader
from distill.modalities.images.together import all_of, each

_MIX = 3  # beside the purposes of `distill.data.plan`
Size = tuple[int, int]


@dataclass(frozen=True)
class Mix:
    """How one batch is mixed, sample i with sample i - 1. `box`: None for MixUp, `share` of the sample itself and the
    rest of the other; for CutMix (left, top, right, bottom) of what comes from the other, in cells of `grid` (rows,
    columns), `share` what the sample keeps."""

    share: float
    box: tuple[int, int, int, int] | None = None
    grid: Size = (1, 1)


@dataclass(frozen=True)
class Mixing:
    """`mixup`, `cutmix`: alpha of the Beta distribution that the share comes from, 0 for none; where both are given
    either is used for half of the batches (timm's choice). A batch's mix depends on (seed, epoch, number of the batch)
    alone.

    Zhang et al., arXiv 1710.09412; Yun et al., arXiv 1905.04899. Normalisation and resizing are linear, so that a MixUp
    of what each network sees is what it would see of the mixed picture, up to the rounding of resized pixels.
    """

    mixup: float
    cutmix: float
    seed: int
    classes: int

    def __call__(self, batch: Batch, epoch: int, number: int) -> Batch:
        """The batch with mixed inputs, and labels (n, C) in fp32: of each class its share of the picture."""
        views = all_of(batch.student, batch.teacher)
        mix = self.draw(epoch, number, *map(_size, views))
        mixed = {id(view): self._mixed(view, mix) for view in views}
        student, teacher = (each(seen, lambda view: mixed[id(view)]) for seen in (batch.student, batch.teacher))
        return replace(batch, student=student, teacher=teacher, labels=self._labels(batch.labels, mix))

    def draw(self, epoch: int, number: int, *sizes: Size) -> Mix:
        """Of batch `number` of an epoch; for views of these sizes."""
        generator = np.random.default_rng([self.seed, epoch, number, _MIX])
        cut, x, y = generator.random(3)
        if self.cutmix and (not self.mixup or cut < 0.5):
            return _box(float(generator.beta(self.cutmix, self.cutmix)), x, y, _grid(sizes))
        return Mix(float(generator.beta(self.mixup, self.mixup)))

    @cached_property
    def _transforms(self) -> tuple[Any, Any]:
        import distill.torchvision_shim  # noqa: F401, I001 - before torchvision
        from torchvision.transforms import v2

        return v2.MixUp(num_classes=self.classes), v2.CutMix(num_classes=self.classes)

    def _mixed(self, pictures: Any, mix: Mix) -> Tensor:
        mixup, cutmix = self._transforms
        told: dict[str, Any] = {"labels": None, "batch_size": len(pictures)}
        if mix.box is None:
            mixed: Tensor = mixup.transform(pictures, told | {"lam": mix.share})
        else:
            mixed = cutmix.transform(pictures, told | {"box": _pixels(mix, _size(pictures))})
        return mixed

    def _labels(self, labels: Tensor, mix: Mix) -> Tensor:
        mixed: Tensor = self._transforms[0].transform(labels, {"labels": labels, "lam": mix.share})
        return mixed


class MixedLoader:
    """A loader whose batches are mixed. `before`: they begin with the sample before this process's share (`Plan`),
    which is mixed into the first one and then left out, so that several processes mix the pairs that one mixes."""

    def __init__(self, loader: Loader, mixing: Mixing, before: bool = False) -> None:
        self.loader, self.mixing, self.before = loader, mixing, before

    @property
    def batches_per_epoch(self) -> int:
        return self.loader.batches_per_epoch

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Batches `start`, `start` + 1, ... of an epoch: exactly those that the epoch from 0 gives there."""
        for number, batch in enumerate(self.loader.epoch(epoch, start), start):
            mixed = self.mixing(batch, epoch, number)
            yield _without_first(mixed) if self.before else mixed

    def close(self) -> None:
        self.loader.close()


def _without_first(batch: Batch) -> Batch:
    teacher = None if batch.teacher is None else batch.teacher[1:]
    student = batch.student[1:]
    return Batch(
        batch.index[1:], batch.labels[1:], student, student if batch.teacher is batch.student else teacher,
        batch.host_index[1:],
    )  # fmt: skip


def _size(pictures: Any) -> Size:
    height, width = pictures.shape[-2:]
    return int(height), int(width)


def _grid(sizes: Sequence[Size]) -> Size:
    """Cells that a box's edges lie between: those that all views have in common, where they have at least 8 a side,
    else the smallest view's pixels, to which the others' edges are rounded (**our choice**)."""
    heights, widths = zip(*sizes, strict=True)
    return _cells(heights), _cells(widths)


def _cells(sides: Sequence[int]) -> int:
    common = math.gcd(*sides)
    return common if common >= 8 else min(sides)


def _box(share: float, x: float, y: float, grid: Size) -> Mix:
    """torchvision's: centred anywhere, of an area of 1 - `share`, clipped to the picture."""
    rows, columns = grid
    side = 0.5 * math.sqrt(1.0 - share)
    middle, half = (int(x * columns), int(y * rows)), (int(side * columns), int(side * rows))
    left, top = (max(at - reach, 0) for at, reach in zip(middle, half, strict=True))
    right, bottom = (min(m + h, most) for m, h, most in zip(middle, half, (columns, rows), strict=True))
    return Mix(1.0 - (right - left) * (bottom - top) / (rows * columns), (left, top, right, bottom), grid)


def _pixels(mix: Mix, size: Size) -> tuple[int, int, int, int]:
    """The box in a view of this size."""
    assert mix.box is not None
    across, down = size[1] / mix.grid[1], size[0] / mix.grid[0]
    left, top, right, bottom = mix.box
    return round(left * across), round(top * down), round(right * across), round(bottom * down)
