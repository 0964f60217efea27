"""Non-maximum suppression without torchvision's compiled operators, which are missing beside a CPU torch."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill.tasks.detect_objects.geometry import TINY


def suppressed(boxes: Tensor, scores: Tensor, classes: Tensor, threshold: float, most: int | None = None) -> Tensor:
    """Positions (k,) of the boxes that stay, the best first, at most `most` of them: of boxes (m, 4) of one class that
    overlap by more than `threshold` (IoU) the one with the higher score; of equal scores the first. Boxes of different
    `classes` (m,) leave each other alone.

    Greedy, as torchvision's `batched_nms`, with which it agrees (`tests/detection/test_geometry.py`). Each box that
    stays is compared with those after it, on the CPU: time grows as k m. Waits for the device.
    """
    order = torch.argsort(scores, descending=True, stable=True)
    corners = boxes[order].detach().float().cpu().numpy().T
    numbers = classes[order].cpu().numpy()
    alive, kept = np.ones(len(order), np.bool_), list[int]()
    for i in range(len(order)):
        if len(kept) == most:
            break
        if alive[i]:
            kept.append(i)
            over = _overlaps(corners[:, i : i + 1], corners[:, i + 1 :]) > np.float32(threshold)
            alive[i + 1 :] &= ~(over & (numbers[i + 1 :] == numbers[i]))
    return order[torch.tensor(kept, dtype=torch.int64, device=order.device)]


def _overlaps(one: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """(m,) IoU of a box (4, 1) with boxes (4, m): the arithmetic of `distill.tasks.detect_objects.geometry.iou`."""
    sides = np.minimum(one[2:], others[2:]) - np.maximum(one[:2], others[:2])
    both = _area(sides)
    found: NDArray[np.float32] = both / np.maximum(
        _area(one[2:] - one[:2]) + _area(others[2:] - others[:2]) - both, TINY
    )
    return found


def _area(sides: NDArray[np.float32]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = np.maximum(sides[0], 0) * np.maximum(sides[1], 0)
    return found
