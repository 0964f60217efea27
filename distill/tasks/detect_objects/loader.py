"""Batches of images and boxes: one scale, crop, flip and colour for image and boxes, student and teacher."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from distill.modalities.images.large import DrawnViews, Shown
from distill.modalities.images.preprocessing import Preprocessing
from distill.modalities.images.samples import to_array
from distill.tasks._images.framed import FramedLoader, Seeing
from distill.tasks.detect_objects import SPEC
from distill.tasks.detect_objects.boxes import Boxes
from distill.tasks.detect_objects.framing import Frame, boxes_in, drawn, show, whole
from distill.tasks.detect_objects.mosaic import PIECES, compose, pieces, pieces_boxes
from distill.tasks.detect_objects.rows import COLUMNS, NO_BOX, rows_of
from distill.tasks.detect_objects.samples import Samples


@dataclass
class Views(DrawnViews):
    """A key -> uint8 (c, h, w) for each of `wanted`, and the boxes' rows float32 (m, 6) in pixels of the
    student's input (`distill.tasks.detect_objects.rows`), m the same for every sample. `pool`: the samples that a
    mosaic may take pieces of."""

    samples: Samples
    seeing: Seeing
    seed: int
    pool: NDArray[np.int64]

    @property
    def wanted(self) -> tuple[Preprocessing, ...]:
        return self.seeing.wanted

    @property
    def most(self) -> int:
        """m: the most boxes of an image, in a mosaic those of all its pieces."""
        most = int(np.diff(self.samples.split.objects.starts).max(initial=1))
        return most * (PIECES if self.seeing.augmentation == "mosaic" else 1)

    def views(self, epoch: int, i: int, row: int) -> tuple[Any, ...]:
        if self.seeing.augmentation == "none":
            image, boxes = self.samples.pair(i)
            frame = whole((image.height, image.width))
            return (*(to_array(show(image, frame, how)) for how in self.wanted), self._exactly(boxes, frame))
        numbers = self.numbers(epoch, row)
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


class BoxLoader(FramedLoader):
    """Labels are (n, m, 6) float32 (`distill.tasks.detect_objects.rows`), m the most boxes of an image of the batch, at
    least 1."""

    spec = SPEC

    def views(self, samples: Samples, seeing: Seeing, seed: int) -> Shown:
        return Views(samples, seeing, seed, self.indices.numpy())

    def labels(self, stacked: Tensor) -> Tensor:
        most = max(1, int((stacked[..., 4] != NO_BOX).sum(1).max()))
        return self.to(stacked[:, :most].contiguous())
