"""The objects of one image: a box, a class, and whether a box is only there to be left out of account."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Boxes:
    """n boxes of one image.

    corners: (n, 4) float32, x1 y1 x2 y2 in pixels of the image as it is decoded, x1 < x2 and y1 < y2, within the
      image. Column 10 begins at x = 10.0 and ends at 11.0, as in COCO.
    classes: (n,) int64, positions in the dataset's class names.
    ignored: (n,) bool. Such a box (COCO's `iscrowd` and `ignore`, Pascal VOC's `difficult`) is never learnt from; a
      detection that meets it counts neither for nor against a detector.
    crowd: (n,) bool, a subset of `ignored`. A crowd may be met by several detections (COCO's rule of overlap).
    areas: (n,) float32, square pixels, by which COCO calls an object small, medium or large: the area of its mask where
      the annotations state one, otherwise the box's.
    """

    corners: NDArray[np.float32]
    classes: NDArray[np.int64]
    ignored: NDArray[np.bool_]
    crowd: NDArray[np.bool_]
    areas: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.classes)

    def pick(self, kept: NDArray[np.bool_] | NDArray[np.int64]) -> Boxes:
        """Some of the boxes, by mask or position."""
        return Boxes(
            self.corners[kept], self.classes[kept], self.ignored[kept], self.crowd[kept], self.areas[kept]
        )  # fmt: skip


def joined(parts: list[Boxes]) -> Boxes:
    """The boxes of all parts, in their order."""
    return Boxes(
        np.concatenate([np.zeros((0, 4), np.float32), *(part.corners for part in parts)]),
        np.concatenate([np.zeros(0, np.int64), *(part.classes for part in parts)]),
        np.concatenate([np.zeros(0, np.bool_), *(part.ignored for part in parts)]),
        np.concatenate([np.zeros(0, np.bool_), *(part.crowd for part in parts)]),
        np.concatenate([np.zeros(0, np.float32), *(part.areas for part in parts)]),
    )
