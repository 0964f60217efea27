"""How boxes overlap."""

from __future__ import annotations

import torch
from torch import Tensor

TINY = 1e-7


def area(boxes: Tensor) -> Tensor:
    """Boxes (..., 4) x1 y1 x2 y2 -> (...): square pixels; 0 for what is inverted."""
    sides = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0)
    return sides[..., 0] * sides[..., 1]


def intersection(a: Tensor, b: Tensor) -> Tensor:
    """Square pixels that boxes (..., 4) have in common, pair by pair after broadcasting."""
    corners = torch.cat([torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])], -1)
    return area(corners)


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of boxes (..., 4), pair by pair after broadcasting: in [0, 1]; 0 for two empty boxes."""
    both = intersection(a, b)
    return both / (area(a) + area(b) - both).clamp(min=TINY)


def giou(a: Tensor, b: Tensor) -> Tensor:
    """Generalised IoU of boxes (..., 4), pair by pair after broadcasting: in (-1, 1].

        GIoU = IoU - (H - U) / H,   U the union's area, H that of the smallest box around both

    Rezatofighi et al. 2019 (arXiv 1902.09630). Unlike IoU it has a gradient for boxes that do not meet."""
    both = intersection(a, b)
    union = area(a) + area(b) - both
    around = area(torch.cat([torch.minimum(a[..., :2], b[..., :2]), torch.maximum(a[..., 2:], b[..., 2:])], -1))
    return both / union.clamp(min=TINY) - (around - union) / around.clamp(min=TINY)
