"""What a detector of object queries gives: for every query class logits and a box, layer after layer, in one tensor."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

QUERIES = "queries"
"""What a network that gives such rows says of itself in its attribute `answers`."""
BESIDE_QUERY = 6
"""Columns of a row beside its class logits."""


@dataclass(frozen=True)
class Queries:
    """Rows (..., P, C + 6) by what their columns mean. The network's layers follow each other, each with as many
    queries; the last is the network's answer, the others are taught alone.

    classes: (..., P, C) logits, of a sigmoid each. boxes: (..., P, 4), centre x, centre y, width and height as shares
    of the input. sides: (..., P, 2), the input's width and height in pixels.
    """

    classes: Tensor
    boxes: Tensor
    sides: Tensor

    @classmethod
    def of(cls, rows: Tensor) -> Queries:
        beside = rows[..., -BESIDE_QUERY:]
        return cls(rows[..., :-BESIDE_QUERY], beside[..., :4], beside[..., 4:])

    def corners(self) -> Tensor:
        """(..., P, 4): x1 y1 x2 y2 in pixels of the input."""
        centres, half = self.boxes[..., :2], self.boxes[..., 2:] / 2
        return torch.cat([centres - half, centres + half], -1) * torch.cat([self.sides, self.sides], -1)


def queried(classes: Tensor, boxes: Tensor, image: tuple[int, int]) -> Tensor:
    """Rows (n, P, C + 6) in fp32 of logits (n, P, C) and boxes (n, P, 4), of an input of `image` (height, width)."""
    sides = classes.new_tensor([image[1], image[0]], dtype=torch.float32).expand(*classes.shape[:2], 2)
    return torch.cat([classes.float(), boxes.float(), sides], -1)
