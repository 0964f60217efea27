"""Non-maximum suppression as one operator: by torchvision's compiled one where there is one, else in plain numpy."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill.torchvision_shim import LIBRARY

COMPILED = LIBRARY is None
"""Whether torchvision's compiled operators are there."""


TINY = 1e-7
"""Square pixels below which a union is none."""


@torch.library.custom_op("retort::suppress", mutates_args=())
def suppress(boxes: Tensor, scores: Tensor, overlap: float, least: float) -> Tensor:
    """(b, g, m) bool: which of the boxes (b, m, 4), x1 y1 x2 y2, stay in each of g groups, by scores (b, g, m): of two
    that overlap by more than `overlap` (IoU) the one with the higher score, of equal scores the first; none whose score
    is not above `least`. Greedy. Waits for the device."""
    kept = torch.zeros_like(scores, dtype=torch.bool)
    for i, group in np.ndindex(scores.shape[0], scores.shape[1]):
        of = scores[i, group]
        order = torch.argsort(of, descending=True, stable=True)
        order = order[of[order] > least]
        kept[i, group, _alive(boxes[i, order].float(), of[order].float(), order, overlap)] = True
    return kept


@suppress.register_fake
def _(boxes: Tensor, scores: Tensor, overlap: float, least: float) -> Tensor:
    return torch.empty_like(scores, dtype=torch.bool)


def _alive(boxes: Tensor, scores: Tensor, order: Tensor, overlap: float) -> Tensor:
    """Those of `order` (k,) that stay; `boxes`, `scores`: the best first."""
    if COMPILED:
        from torchvision.ops import nms

        return order[nms(boxes, scores, overlap)]
    kept = greedy(boxes.cpu().numpy().T, np.zeros(len(order), np.int64), overlap)
    return order[torch.tensor(kept, dtype=torch.int64, device=order.device)]


def greedy(
    corners: NDArray[np.float32], groups: NDArray[np.int64], threshold: float, most: int | None = None
) -> list[int]:  # fmt: skip
    """Which of m boxes (4, m), the best first, stay, at most `most` of them: those that overlap no better one of their
    group that stays by more than `threshold` (IoU). Each that stays is compared with those after it: time grows as
    k m."""
    alive, kept = np.ones(corners.shape[1], np.bool_), list[int]()
    for i in range(corners.shape[1]):
        if len(kept) == most:
            break
        if alive[i]:
            kept.append(i)
            over = _overlaps(corners[:, i : i + 1], corners[:, i + 1 :]) > np.float32(threshold)
            alive[i + 1 :] &= ~(over & (groups[i + 1 :] == groups[i]))
    return kept


def _overlaps(one: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """(m,) IoU of a box (4, 1) with boxes (4, m)."""
    sides = np.minimum(one[2:], others[2:]) - np.maximum(one[:2], others[:2])
    both = _area(sides)
    found: NDArray[np.float32] = both / np.maximum(
        _area(one[2:] - one[:2]) + _area(others[2:] - others[:2]) - both, TINY
    )
    return found


def _area(sides: NDArray[np.float32]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = np.maximum(sides[0], 0) * np.maximum(sides[1], 0)
    return found
