"""FCOS's losses on the labels: focal on classes, GIoU on boxes, cross-entropy on centerness."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from distill.models.points import Points
from distill.tasks.detect_objects.assignment import Assigned
from distill.tasks.detect_objects.geometry import giou

ALPHA, GAMMA = 0.25, 2.0


def focal(logits: Tensor, targets: Tensor) -> Tensor:
    """-a_t (1 - p_t)^2 ln p_t of every logit, nats: the focal loss of Lin et al. 2017 (arXiv 1708.02002), a = 0.25 for
    the class that is there and 0.75 for the others. logits, targets (0 or 1): the same shape, which is the result's."""
    p = logits.sigmoid()
    entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    right = p * targets + (1 - p) * (1 - targets)
    weight = ALPHA * targets + (1 - ALPHA) * (1 - targets)
    return weight * (1 - right) ** GAMMA * entropy


def detection_loss(points: Points, given: Assigned) -> Tensor:
    """Scalar: the mean over the images of

        ( sum_points sum_classes focal + sum_positive bce(centerness) ) / N + sum_positive c (1 - GIoU) / sum_positive c

    N: the image's positive points, at least 1; c: their centerness. FCOS divides by the positive points of the batch;
    here each image has its own divisor, as in torchvision's RetinaNet (**our choice**): a batch in parts, by gradient
    accumulation or several processes, then has the gradient of the whole.
    """
    positive, count = given.positive, given.positive.sum(1).clamp(min=1)
    targets = F.one_hot(given.classes, points.classes.shape[-1]).to(points.classes.dtype) * positive[..., None]
    classes = (focal(points.classes, targets).sum(-1) * given.counted).sum(1)
    centres = F.binary_cross_entropy_with_logits(points.centerness, given.centerness, reduction="none")
    centres = torch.where(positive, centres, 0.0).sum(1)
    weights = given.centerness * positive
    missed = torch.where(positive, 1 - giou(points.boxes, given.boxes), 0.0)
    boxes = (weights * missed).sum(1) / weights.sum(1).clamp(min=1e-6)
    return ((classes + centres) / count + boxes).mean()
