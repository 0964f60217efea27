"""Batches of images whose labels have places: one frame for image and labels, student and teacher."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from distill.data.plan import Plan
from distill.errors import InvalidConfig
from distill.modalities.images.large import LargeImages, Shown
from distill.modalities.images.loader import Batch
from distill.modalities.images.normalise import Normaliser
from distill.modalities.images.preprocessing import Preprocessing
from distill.tasks.spec import TaskSpec


@dataclass(frozen=True)
class Seeing:
    """How a loader shows its samples. `student`, `teacher` (None: it sees nothing): their inputs. `own_size`: labels at
    each image's own size, for evaluation, instead of the student's input size, where a task has both."""

    student: Preprocessing
    teacher: Preprocessing | None = None
    augmentation: str = "none"
    own_size: bool = False

    @property
    def wanted(self) -> tuple[Preprocessing, ...]:
        return (self.student,) if self.teacher is None or self.teacher == self.student else (self.student, self.teacher)


class FramedLoader(ABC):
    """Batches of `samples` at `indices`, deterministic in (seed, epoch, sample): see `distill.data.plan`, whose `Plan`
    counts positions in `indices`. Images are decoded one by one, in `workers` processes (spawned) or in this one.

    Raises `InvalidConfig` for an augmentation that moves images without their labels.
    """

    spec: ClassVar[TaskSpec]

    def __init__(
        self, samples: Any, indices: Tensor | Sequence[int], plan: Plan, seeing: Seeing,
        device: torch.device | str = "cpu", workers: int = 0,
    ) -> None:  # fmt: skip
        if unfit := self.spec.refuses_augmentation(seeing.augmentation):
            raise unfit
        self.indices = torch.as_tensor(indices, dtype=torch.int64).cpu()
        self.device, self._plan, self._seeing = torch.device(device), plan, seeing
        if not self.batches_per_epoch:
            raise InvalidConfig("There are no samples for a batch.", "Use more samples, or a smaller batch_size.")
        self._normalise = {how: Normaliser(how, self.device) for how in seeing.wanted}
        self._images = LargeImages(self.views(samples, seeing, plan.seed), workers)

    @abstractmethod
    def views(self, samples: Any, seeing: Seeing, seed: int) -> Shown:
        """(epoch, sample, row) -> uint8 (c, h, w) for each of `seeing.wanted`, and the sample's labels."""

    @abstractmethod
    def labels(self, stacked: Tensor) -> Tensor:
        """Labels of a batch, on the CPU as the views have them, to those of a `Batch`, on the loader's device."""

    @property
    def batches_per_epoch(self) -> int:
        """The same for every rank."""
        return self._plan.batches

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Batches `start`, `start` + 1, ... of an epoch: exactly those that the epoch from 0 gives there."""
        order = self._plan.order(epoch)
        batches = [self.indices[self._plan.batch_of(order, i)] for i in range(start, self.batches_per_epoch)]
        for host, (*views, labels) in zip(batches, self._images.epoch(epoch, batches), strict=True):
            yield self._batch(host, views, labels)

    def close(self) -> None:
        """End worker processes, if any."""
        self._images.close()

    def _batch(self, host: Tensor, views: list[Tensor], labels: Tensor) -> Batch:
        seen = [self._normalise[how](self.to(view)) for how, view in zip(self._seeing.wanted, views, strict=True)]
        teacher = None if self._seeing.teacher is None else seen[-1]
        return Batch(self.to(host), self.labels(labels), seen[0], teacher, host)

    def to(self, tensor: Tensor) -> Tensor:
        """On the loader's device."""
        return tensor if self.device.type == "cpu" else tensor.pin_memory().to(self.device, non_blocking=True)
