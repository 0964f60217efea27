"""The levels of a detector's pyramid, as its answers tell of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from distill.models.points import Size
from distill.tasks.detect_objects.assignment import FARTHEST

CELLS = 64
"""Places are told apart by 1 / 64 pixel: centres of boxes are computed, and differ by rounding."""


@dataclass(frozen=True)
class Levels:
    """`sizes` (h, w) and `strides` of a detector's levels, the finest first."""

    sizes: tuple[Size, ...]
    strides: tuple[int, ...]

    @classmethod
    def of(cls, places: Tensor, strides_of: Tensor) -> Levels:
        """From where a detector answers (`Head.cells`): places (P, 2), of which several may stand at one cell, and
        strides (P,)."""
        sizes, strides = [], []
        for stride in torch.unique(strides_of).tolist():
            mine = (places[strides_of == stride] * CELLS).round()
            sizes.append((len(torch.unique(mine[:, 1])), len(torch.unique(mine[:, 0]))))
            strides.append(int(stride))
        return cls(tuple(sizes), tuple(strides))

    @property
    def points(self) -> int:
        return sum(height * width for height, width in self.sizes)

    def of_boxes(self, corners: Tensor) -> Tensor:
        """(m,) positions of the level that answers for each box (m, 4)."""
        reach = (corners[:, 2:] - corners[:, :2]).amax(1) / 2
        borders = torch.tensor([FARTHEST * stride for stride in self.strides[:-1]], device=corners.device)
        return torch.bucketize(reach, borders)
