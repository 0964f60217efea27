"""Detectors with anchors and a sigmoid a class: RetinaNet."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from distill.answers import Distance
from distill.models.anchors import BESIDE_ANCHOR, Anchors, encoded
from distill.tasks.detect_objects import answering
from distill.tasks.detect_objects.anchor_matching import Matched, Rule, all_that_overlap_most, match
from distill.tasks.detect_objects.heads.base import Head, Scored
from distill.tasks.detect_objects.heads.divergence import Said, divergence, pairs_of, there_or_not
from distill.tasks.detect_objects.losses import focal
from distill.tasks.detect_objects.rows import Objects

RULE = Rule(0.5, 0.4, all_that_overlap_most)


class AnchorHead(Head):
    """Rows (n, P, C + 9) of P anchors (`distill.models.anchors`). A subclass has another softmax, rule and loss."""

    kind = answering.SIGMOIDS
    rule = RULE

    def classes(self, outputs: Tensor) -> int:
        return outputs.shape[-1] - BESIDE_ANCHOR if outputs.dim() == 3 else 0

    def scored(self, outputs: Tensor) -> Scored:
        found = Anchors.of(outputs)
        return Scored(found.boxes[..., None, :], self.probabilities(found.classes))

    def probabilities(self, logits: Tensor) -> Tensor:
        """p(class) (..., C) of class logits (..., C)."""
        return logits.sigmoid()

    def choices(self, logits: Tensor) -> Tensor:
        """Logits (k, C) as rows of a softmax each."""
        return there_or_not(logits)

    def cells(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        found = Anchors.of(outputs[0])
        return found.places, found.strides

    def answering(self, outputs: Tensor, objects: Objects) -> Tensor:
        return match(Anchors.of(outputs).anchors, objects, self.rule).positive

    def loss(self, outputs: Tensor, objects: Objects) -> Tensor:
        """The mean over the images of `image_losses`."""
        found = Anchors.of(outputs.float())
        return self.image_losses(found, match(found.anchors, objects, self.rule)).mean()

    def image_losses(self, found: Anchors, given: Matched) -> Tensor:
        """(n,): (sum_anchors sum_classes focal + sum_positive sum_4 |delta - delta of its object|) / N, N the image's
        positive anchors, at least 1: torchvision's RetinaNet (Lin et al. 2017, arXiv 1708.02002)."""
        targets = F.one_hot(given.classes, found.classes.shape[-1]).to(found.classes.dtype)
        terms = focal(found.classes, targets * given.positive[..., None]).sum(-1)
        classes = (terms * (given.positive | given.negative)).sum(1)
        gap = encoded(found.boxes, found.anchors) - encoded(given.boxes, found.anchors)
        boxes = torch.where(given.positive, gap.abs().sum(-1), 0.0).sum(1)
        return (classes + boxes) / given.positive.sum(1).clamp(min=1)

    def divergence(self, outputs: Tensor, targets: Mapping[str, Tensor], distance: Distance) -> Tensor:
        """`distill.tasks.detect_objects.heads.divergence` at each anchor; a teacher of another input has its boxes
        scaled."""
        pairs = pairs_of(outputs, targets)
        return torch.stack([self._of_image(Anchors.of(s), Anchors.of(t), distance) for s, t in pairs]).mean()

    def _of_image(self, student: Anchors, teacher: Anchors, distance: Distance) -> Tensor:
        scale = (student.strides / teacher.strides)[:, None]
        ours = Said(student.classes, self.probabilities(student.classes), student.boxes)
        theirs = Said(teacher.classes, self.probabilities(teacher.classes), teacher.boxes * scale)
        return divergence(ours, theirs, distance, self.choices)

    def comparable(self, outputs: Tensor) -> tuple[tuple[int, ...], Tensor]:
        return tuple(outputs.shape[1:]), Anchors.of(outputs[0]).anchors
