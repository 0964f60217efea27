"""Non-maximum suppression without torchvision's compiled operators, which are missing beside a CPU torch."""

from __future__ import annotations

import torch
from torch import Tensor

from distill.models.nms import greedy


def suppressed(boxes: Tensor, scores: Tensor, classes: Tensor, threshold: float, most: int | None = None) -> Tensor:
    """Positions (k,) of the boxes that stay, the best first, at most `most` of them: of boxes (m, 4) of one class that
    overlap by more than `threshold` (IoU) the one with the higher score; of equal scores the first. Boxes of different
    `classes` (m,) leave each other alone.

    Greedy, as torchvision's `batched_nms`, with which it agrees (`tests/detection/test_geometry.py`). Each box that
    stays is compared with those after it, on the CPU: time grows as k m. Waits for the device.
    """
    order = torch.argsort(scores, descending=True, stable=True)
    corners = boxes[order].detach().float().cpu().numpy().T
    kept = greedy(corners, classes[order].cpu().numpy(), threshold, most)
    return order[torch.tensor(kept, dtype=torch.int64, device=order.device)]
