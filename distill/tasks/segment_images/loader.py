"""Batches of images and masks: one crop, scale and flip for image and mask, student and teacher."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from distill.data.plan import Plan, draws
from distill.errors import InvalidConfig, RetortError
from distill.modalities.images.large import Key, LargeImages
from distill.modalities.images.loader import Batch
from distill.modalities.images.normalise import Normaliser
from distill.modalities.images.preprocessing import Preprocessing
from distill.tasks.segment_images import SPEC
from distill.tasks.segment_images.framing import Frame, drawn, show, show_mask, whole
from distill.tasks.segment_images.samples import Samples


@dataclass(frozen=True)
class Seeing:
    """How a loader shows its samples. `student`, `teacher` (None: it sees nothing): their inputs. `own_size`: labels at
    each image's own size, for evaluation, instead of the student's input size."""

    student: Preprocessing
    teacher: Preprocessing | None = None
    augmentation: str = "none"
    own_size: bool = False

    @property
    def wanted(self) -> tuple[Preprocessing, ...]:
        return (self.student,) if self.teacher is None or self.teacher == self.student else (self.student, self.teacher)


@dataclass
class Views:
    """(epoch, sample) -> uint8 (c, h, w) for each of `wanted`, and the classes int16 (1, h, w)."""

    samples: Samples
    seeing: Seeing
    seed: int
    _numbers: tuple[int, Tensor] | None = None

    @property
    def wanted(self) -> tuple[Preprocessing, ...]:
        return self.seeing.wanted

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, key: Key) -> tuple[Any, ...] | RetortError:
        # A worker process would wrap the error into text and lose its remedy; as a value it arrives whole.
        try:
            return self._views(*key)
        except RetortError as error:
            return error

    def _views(self, epoch: int, i: int, row: int) -> tuple[Any, ...]:
        image, classes = self.samples.pair(i)
        frame = self._frame((image.height, image.width), epoch, row)
        mask = classes if self.seeing.own_size else show_mask(classes, frame, self.seeing.student.size)
        return (*(show(image, frame, how) for how in self.wanted), mask[None])

    def _frame(self, native: tuple[int, int], epoch: int, row: int) -> Frame:
        if self.seeing.augmentation == "none":
            return whole(native)
        if self._numbers is None or self._numbers[0] != epoch:
            self._numbers = (epoch, draws(self.seed, epoch, len(self.samples)))
        return drawn(native, self._numbers[1][row].tolist())


class MaskLoader:
    """Batches of `samples` at `indices`, deterministic in (seed, epoch, sample): see `distill.data.plan`, whose `Plan`
    counts positions in `indices`. Images are decoded one by one, in `workers` processes (spawned) or in this one.

    Raises `InvalidConfig` for an augmentation that moves images without their masks.
    """

    def __init__(
        self, samples: Samples, indices: Tensor | Sequence[int], plan: Plan, seeing: Seeing,
        device: torch.device | str = "cpu", workers: int = 0,
    ) -> None:  # fmt: skip
        if unfit := SPEC.refuses_augmentation(seeing.augmentation):
            raise unfit
        self.indices = torch.as_tensor(indices, dtype=torch.int64).cpu()
        self.device, self._plan, self._seeing = torch.device(device), plan, seeing
        if not self.batches_per_epoch:
            raise InvalidConfig("There are no samples for a batch.", "Use more samples, or a smaller batch_size.")
        self._normalise = {how: Normaliser(how, self.device) for how in seeing.wanted}
        self._images = LargeImages(Views(samples, seeing, plan.seed), workers)

    @property
    def batches_per_epoch(self) -> int:
        """The same for every rank."""
        return self._plan.batches

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Batches `start`, `start` + 1, ... of an epoch: exactly those that the epoch from 0 gives there. Labels are
        (n, h, w) int64, below 0 where a pixel has no class."""
        order = self._plan.order(epoch)
        batches = [self.indices[self._plan.batch_of(order, i)] for i in range(start, self.batches_per_epoch)]
        for host, (*views, masks) in zip(batches, self._images.epoch(epoch, batches), strict=True):
            yield self._batch(host, views, masks)

    def close(self) -> None:
        """End worker processes, if any."""
        self._images.close()

    def _batch(self, host: Tensor, views: list[Tensor], masks: Tensor) -> Batch:
        seen = [self._normalise[how](self._to(view)) for how, view in zip(self._seeing.wanted, views, strict=True)]
        teacher = None if self._seeing.teacher is None else seen[-1]
        return Batch(self._to(host), self._to(masks)[:, 0].long(), seen[0], teacher, host)

    def _to(self, tensor: Tensor) -> Tensor:
        return tensor if self.device.type == "cpu" else tensor.pin_memory().to(self.device, non_blocking=True)
