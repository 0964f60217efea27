"""Detectors with anchors and a softmax over the classes and a background: SSD."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from distill.models.anchors import FINE, Anchors, encoded
from distill.tasks.detect_objects import answering
from distill.tasks.detect_objects.anchor_matching import Matched, Rule, one_for_each
from distill.tasks.detect_objects.heads.anchors import AnchorHead
from distill.tasks.detect_objects.heads.divergence import with_background

HARD = 3
"""Background boxes that are taught for each that answers for an object: those with the largest loss."""


class DefaultBoxHead(AnchorHead):
    """Rows (n, P, C + 9) whose class logits are those against the background's."""

    kind = answering.DEFAULT_BOXES
    rule = Rule(0.5, 0.5, one_for_each)

    def probabilities(self, logits: Tensor) -> Tensor:
        return with_background(logits).softmax(-1)[..., 1:]

    def choices(self, logits: Tensor) -> Tensor:
        return with_background(logits)

    def image_losses(self, found: Anchors, given: Matched) -> Tensor:
        """(n,): (sum_positive CE + sum_hard CE + sum_positive sum_4 smooth L1(delta - delta of its object)) / N, N the
        image's positive boxes, at least 1, and as hard the 3 N background boxes of the largest cross-entropy:
        torchvision's SSD (Liu et al. 2016, arXiv 1512.02325), which has one N for the whole batch. Here each image has
        its own, as in our other detectors (**our choice**). An image without an object teaches nothing."""
        wanted = torch.where(given.positive, given.classes + 1, 0)
        entropy = F.cross_entropy(with_background(found.classes).movedim(-1, 1), wanted, reduction="none")
        count = given.positive.sum(1)
        hard = _largest(torch.where(given.negative, entropy.detach(), -torch.inf), HARD * count) & given.negative
        classes = torch.where(given.positive | hard, entropy, 0.0).sum(1)
        ours, theirs = (encoded(boxes, found.anchors, FINE) for boxes in (found.boxes, given.boxes))
        gap = F.smooth_l1_loss(ours, theirs, reduction="none").sum(-1)
        return (classes + torch.where(given.positive, gap, 0.0).sum(1)) / count.clamp(min=1)


def _largest(values: Tensor, counts: Tensor) -> Tensor:
    """(n, P) bool: of each row (P,) the `counts` (n,) largest."""
    ranks = values.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    return ranks < counts[:, None]
