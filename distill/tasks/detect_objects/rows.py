"""The boxes of a batch as one tensor: what a loader gives as labels, and what answers and recipes read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill.tasks.detect_objects.boxes import Boxes

COLUMNS = 6
NO_BOX = -1.0


@dataclass(frozen=True)
class Objects:
    """Labels (n, m, 6) by what their columns mean. An image has as many rows as the fullest one of its batch.

    corners: (n, m, 4) x1 y1 x2 y2 in pixels of the student's input. classes: (n, m) int64, 0 where there is no box.
    there: (n, m) bool, whether the row is a box that is learnt from. ignored: (n, m) bool, whether it is a box that is
    not.
    """

    corners: Tensor
    classes: Tensor
    there: Tensor
    ignored: Tensor

    @classmethod
    def of(cls, labels: Tensor) -> Objects:
        filled = labels[..., 4] >= 0
        ignored = filled & (labels[..., 5] > 0)
        return cls(labels[..., :4], labels[..., 4].clamp(min=0).long(), filled & ~ignored, ignored)

    def image(self, i: int) -> Objects:
        """Those of image i, with as many rows as it has boxes, at least 1. Waits for the device."""
        rows = max(1, int((self.there[i] | self.ignored[i]).sum()))
        parts = (self.corners, self.classes, self.there, self.ignored)
        return Objects(*(part[i : i + 1, :rows] for part in parts))


def rows_of(boxes: Boxes) -> NDArray[np.float32]:
    """(m, 6): x1 y1 x2 y2, class, whether it is ignored."""
    beside = (boxes.classes.astype(np.float32)[:, None], boxes.ignored.astype(np.float32)[:, None])
    return np.concatenate([boxes.corners.astype(np.float32), *beside], 1).reshape(-1, COLUMNS)


def padded(rows: Sequence[NDArray[np.float32]]) -> Tensor:
    """Rows (m_i, 6) of each image -> labels (n, m, 6), m the most, at least 1; what is left over has the class -1."""
    labels = torch.full((len(rows), max([1, *map(len, rows)]), COLUMNS), 0.0)
    labels[..., 4] = NO_BOX
    for i, one in enumerate(rows):
        labels[i, : len(one)] = torch.from_numpy(one)
    return labels
