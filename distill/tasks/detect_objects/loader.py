"""Batches of images and boxes: one scale, crop, flip and colour for image and boxes, student and teacher."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from distill.data.plan import Plan, draws
from distill.errors import InvalidConfig, RetortError
from distill.modalities.images.large import Key, LargeImages
from distill.modalities.images.loader import Batch
from distill.modalities.images.normalise import Normaliser
from distill.modalities.images.preprocessing import Preprocessing
from distill.modalities.images.samples import to_array
from distill.tasks.detect_objects import SPEC
from distill.tasks.detect_objects.boxes import Boxes
from distill.tasks.detect_objects.framing import Frame, boxes_in, drawn, show, whole
from distill.tasks.detect_objects.mosaic import PIECES, compose, pieces, pieces_boxes
from distill.tasks.detect_objects.rows import COLUMNS, NO_BOX, rows_of
from distill.tasks.detect_objects.samples import Samples


@dataclass(frozen=True)
class Seeing:
    """How a loader shows its samples. `student`, `teacher` (None: it sees nothing): their inputs."""

    student: Preprocessing
    teacher: Preprocessing | None = None
    augmentation: str = "none"

    @property
    def wanted(self) -> tuple[Preprocessing, ...]:
        return (self.student,) if self.teacher is None or self.teacher == self.student else (self.student, self.teacher)


@dataclass
class Views:
    """A key -> uint8 (c, h, w) for each of `wanted`, and the boxes' rows float32 (m, 6) in pixels of the
    student's input (`distill.tasks.detect_objects.rows`), m the same for every sample. `pool`: the samples that a
    mosaic may take pieces of."""

    samples: Samples
    seeing: Seeing
    seed: int
    pool: NDArray[np.int64]
    _numbers: tuple[int, Tensor] | None = None

    @property
    def wanted(self) -> tuple[Preprocessing, ...]:
        return self.seeing.wanted

    @property
    def most(self) -> int:
        """m: the most boxes of an image, in a mosaic those of all its pieces."""
        most = int(np.diff(self.samples.split.objects.starts).max(initial=1))
        return most * (PIECES if self.seeing.augmentation == "mosaic" else 1)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, key: Key) -> tuple[Any, ...] | RetortError:
        # A worker process would wrap the error into text and lose its remedy; as a value it arrives whole.
        try:
            return self._views(*key)
        except RetortError as error:
            return error

    def _views(self, epoch: int, i: int, row: int) -> tuple[Any, ...]:
        if self.seeing.augmentation == "none":
            image, boxes = self.samples.pair(i)
            frame = whole((image.height, image.width))
            return (*(to_array(show(image, frame, how)) for how in self.wanted), self._exactly(boxes, frame))
        numbers = self._of(epoch)[row].tolist()
        pictures, boxes = self._mosaic(i, numbers) if self.seeing.augmentation == "mosaic" else self._one(i, numbers)
        if self.seeing.augmentation != "crop_flip":
            from distill.tasks.detect_objects.colours import recoloured  # torchvision, which no other view needs

            pictures = recoloured(pictures, numbers[5])
        return (*map(to_array, pictures), self._padded(boxes))

    def _one(self, i: int, numbers: list[float]) -> tuple[list[Image.Image], Boxes]:
        image, boxes = self.samples.pair(i)
        size = self.seeing.student.size
        frame = drawn((image.height, image.width), size, boxes, numbers)
        return [show(image, frame, how) for how in self.wanted], boxes_in(boxes, frame, size)

    def _mosaic(self, i: int, numbers: list[float]) -> tuple[list[Image.Image], Boxes]:
        found = pieces(i, self.pool, numbers)
        pairs = [self.samples.pair(each.sample) for each in found]
        size = self.seeing.student.size
        framed = [each.framed(image, boxes, size) for each, (image, boxes) in zip(found, pairs, strict=True)]
        images = [image for image, _ in pairs]
        return [compose(images, framed, how) for how in self.wanted], pieces_boxes([b for _, b in pairs], framed, size)

    def _exactly(self, boxes: Boxes, frame: Frame) -> NDArray[np.float32]:
        """All boxes of an image that is shown whole, however small."""
        moved = frame.to_input(boxes.corners, self.seeing.student.size)
        return self._padded(Boxes(moved, boxes.classes, boxes.ignored, boxes.crowd, boxes.areas))

    def _padded(self, boxes: Boxes) -> NDArray[np.float32]:
        rows = np.zeros((self.most, COLUMNS), np.float32)
        rows[:, 4] = NO_BOX
        rows[: len(boxes)] = rows_of(boxes)
        return rows

    def _of(self, epoch: int) -> Tensor:
        if self._numbers is None or self._numbers[0] != epoch:
            self._numbers = (epoch, draws(self.seed, epoch, len(self.samples)))
        return self._numbers[1]


class BoxLoader:
    """Batches of `samples` at `indices`, deterministic in (seed, epoch, sample): see `distill.data.plan`, whose `Plan`
    counts positions in `indices`. Images are decoded one by one, in `workers` processes (spawned) or in this one.

    Raises `InvalidConfig` for an augmentation that moves images without their boxes.
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
        self._images = LargeImages(Views(samples, seeing, plan.seed, self.indices.numpy()), workers)

    @property
    def batches_per_epoch(self) -> int:
        """The same for every rank."""
        return self._plan.batches

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Batches `start`, `start` + 1, ... of an epoch: exactly those that the epoch from 0 gives there. Labels are
        (n, m, 6) float32, m the most boxes of an image of the batch, at least 1."""
        order = self._plan.order(epoch)
        batches = [self.indices[self._plan.batch_of(order, i)] for i in range(start, self.batches_per_epoch)]
        for host, (*views, rows) in zip(batches, self._images.epoch(epoch, batches), strict=True):
            yield self._batch(host, views, rows)

    def close(self) -> None:
        """End worker processes, if any."""
        self._images.close()

    def _batch(self, host: Tensor, views: list[Tensor], rows: Tensor) -> Batch:
        seen = [self._normalise[how](self._to(view)) for how, view in zip(self._seeing.wanted, views, strict=True)]
        teacher = None if self._seeing.teacher is None else seen[-1]
        most = max(1, int((rows[..., 4] != NO_BOX).sum(1).max()))
        return Batch(self._to(host), self._to(rows[:, :most].contiguous()), seen[0], teacher, host)

    def _to(self, tensor: Tensor) -> Tensor:
        return tensor if self.device.type == "cpu" else tensor.pin_memory().to(self.device, non_blocking=True)
