"""Non-maximum suppression as one operator: by torchvision's compiled one where there is one, else in plain numpy."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill.torchvision_shim import LIBRARY

COMPILED = LIBRARY is None
"""Whether torchvision's compiled operators are there."""


@torch.library.custom_op("retort::suppress", mutates_args=())
def suppress(boxes: Tensor, scores: Tensor, overlap: float, least: float) -> Tensor:
    """(b, g, m) bool: which of the boxes (b, m, 4), x1 y1 x2 y2, stay in each of g groups, by scores (b, g, m): of two
    that overlap by more than `overlap` (IoU) the one with the higher score, of equal scores the first; none whose score
    is not above `least`. Greedy. Memory grows as m^2. Waits for the device."""
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
    from torchvision.ops.boxes import box_iou

    removes: NDArray[np.bool_] = (box_iou(boxes, boxes) > overlap).cpu().numpy()
    return order[torch.from_numpy(greedy(removes)).to(order.device)]


def greedy(removes: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(m,): which of m boxes, the best first, no better one that stays removes; `removes` (m, m)."""
    alive = np.ones(len(removes), np.bool_)
    for i in range(len(alive)):
        if alive[i]:
            alive[i + 1 :] &= ~removes[i, i + 1 :]
    return alive
