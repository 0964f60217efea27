"""Non-maximum suppression without torchvision's compiled operators, which are missing beside a CPU torch."""

from __future__ import annotations

import torch
from torch import Tensor

from distill.models.nms import greedy
from distill.tasks.detect_objects.geometry import iou


def suppressed(boxes: Tensor, scores: Tensor, classes: Tensor, threshold: float) -> Tensor:
    """Positions (k,) of the boxes that stay, the best first: of boxes (m, 4) of one class that overlap by more than
    `threshold` (IoU) the one with the higher score; of equal scores the first. Boxes of different `classes` (m,) leave
    each other alone.

    Greedy, as torchvision's `batched_nms`, with which it agrees (`tests/detection/test_nms.py`). Memory grows as m^2:
    some thousand boxes at most. Waits for the device.
    """
    order = torch.argsort(scores, descending=True, stable=True)
    sorted_boxes, sorted_classes = boxes[order].float(), classes[order]
    over = iou(sorted_boxes[:, None], sorted_boxes[None]) > threshold
    over &= sorted_classes[:, None] == sorted_classes[None]
    return order[torch.from_numpy(greedy(over.cpu().numpy())).to(order.device)]
