"""Batches of images and masks: one crop, scale and flip for image and mask, student and teacher."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from distill.modalities.images.large import DrawnViews, Shown
from distill.modalities.images.preprocessing import Preprocessing
from distill.tasks._images.framed import FramedLoader, Seeing
from distill.tasks.segment_images import SPEC
from distill.tasks.segment_images.framing import Frame, drawn, show, show_mask, whole
from distill.tasks.segment_images.samples import Samples


@dataclass
class Views(DrawnViews):
    """A key -> uint8 (c, h, w) for each of `wanted`, and the classes int16 (1, h, w)."""

    samples: Samples
    seeing: Seeing
    seed: int

    @property
    def wanted(self) -> tuple[Preprocessing, ...]:
        return self.seeing.wanted

    def views(self, epoch: int, i: int, row: int) -> tuple[Any, ...]:
        image, classes = self.samples.pair(i)
        frame = self._frame((image.height, image.width), epoch, row)
        mask = classes if self.seeing.own_size else show_mask(classes, frame, self.seeing.student.size)
        return (*(show(image, frame, how) for how in self.wanted), mask[None])

    def _frame(self, native: tuple[int, int], epoch: int, row: int) -> Frame:
        return whole(native) if self.seeing.augmentation == "none" else drawn(native, self.numbers(epoch, row))


class MaskLoader(FramedLoader):
    """Labels are (n, h, w) int64, below 0 where a pixel has no class."""

    spec = SPEC

    def views(self, samples: Samples, seeing: Seeing, seed: int) -> Shown:
        return Views(samples, seeing, seed)

    def labels(self, stacked: Tensor) -> Tensor:
        return self.to(stacked)[:, 0].long()
