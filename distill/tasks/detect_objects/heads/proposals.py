"""Detectors of two stages: Faster R-CNN."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill.answers import Distance
from distill.models.anchors import FINE, encoded
from distill.models.points import Size, unpack
from distill.models.proposals import Proposals
from distill.tasks.detect_objects import answering
from distill.tasks.detect_objects.anchor_matching import Matched, Rule, all_that_overlap_most, match
from distill.tasks.detect_objects.heads.base import Head, Scored
from distill.tasks.detect_objects.heads.divergence import Said, divergence, with_background
from distill.tasks.detect_objects.rows import Objects

FIRST, SECOND = Rule(0.7, 0.3, all_that_overlap_most), Rule(0.5, 0.5)
"""Which object an anchor and a proposal answer for, as torchvision's Faster R-CNN."""
REGIONS, BOXES = (256, 0.5), (512, 0.25)
"""How many anchors and proposals of an image it draws for its loss, and the largest share that answers for objects."""
BETA = 1 / 9


class ProposalHead(Head):
    """`Proposals`, packed: (n, 10 A + R (5 C + 5)). `number`: C; `count`: R; `judge`: the teacher's second stage."""

    kind = answering.PROPOSALS

    def __init__(self, number: int, count: int, judge: Judge | None = None) -> None:
        self.number, self.count, self.judge = number, count, judge

    @classmethod
    def of(cls, network: Any) -> Self:
        return cls(network.num_classes, network.proposals)

    def taught_by(self, teacher: nn.Module, output: Tensor, size: Size, own: Size) -> Self:
        found = copy(self)
        found.judge = Judge(teacher, ProposalHead.of(teacher).level_sizes(output), size, own)
        return found

    def level_sizes(self, output: Tensor) -> list[Size]:
        """(h, w) of the levels that an output (1, L) is of, the finest first."""
        return list(self.levels(output).sizes)

    def ask(self, teacher: Any, given: Any) -> dict[str, Tensor]:
        """`pyramid` (n, P, c): what the teacher's second stage reads, whatever the proposals."""
        return {"pyramid": teacher.features(given)}

    def classes(self, outputs: Tensor) -> int:
        least = self.count * (5 * self.number + 5)
        return self.number if outputs.dim() == 2 and outputs.shape[1] > least else 0

    def _read(self, outputs: Tensor) -> Proposals:
        return Proposals.of(outputs, self.number, self.count)

    def scored(self, outputs: Tensor) -> Scored:
        found = self._read(outputs)
        return Scored(found.boxes, _probabilities(found.classes) * found.there[..., None])

    def cells(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        found = self._read(outputs[0])
        return (found.anchors[:, :2] + found.anchors[:, 2:]) / 2, found.strides

    def answering(self, outputs: Tensor, objects: Objects) -> Tensor:
        return match(self._read(outputs).anchors, objects, FIRST).positive

    def loss(self, outputs: Tensor, objects: Objects) -> Tensor:
        """The mean over the images of

            sum_anchors w ( BCE(objectness) + [positive] sum_4 h(delta - delta of its object) )
            + sum_proposals v ( CE(classes, background) + [positive] sum_4 h(delta - delta of its object) )

        with h smooth L1 of beta 1/9. torchvision's Faster R-CNN (Ren et al. 2015, arXiv 1506.01497) draws 256 anchors
        of an image, at most half of them positive, and 512 proposals, at most a quarter positive, and takes means over
        these. w and v are each one's chance to be drawn, divided by how many are: this is the expectation of its loss
        over the draws, without their noise (**our choice**), and the same where all are drawn. Each image has its own
        mean (**our choice**, as in our other detectors)."""
        found = self._read(outputs.float())
        return (_of_regions(found, objects) + _of_proposals(found, objects)).mean()

    def divergence(self, outputs: Tensor, targets: Mapping[str, Tensor], distance: Distance) -> Tensor:
        """The teacher judges the student's own proposals, on its own features, as mdistiller pairs them: of each image
        `distill.tasks.detect_objects.heads.divergence` over its proposals, with the softmax over the classes and the
        background, and the box of the teacher's best class."""
        assert self.judge is not None  # `taught_by` gives it before any training
        found = self._read(outputs.float())
        classes, boxes = self.judge(targets["pyramid"], found.corners)
        terms = []
        for i in range(len(outputs)):
            there = found.there[i] > 0
            best = classes[i][there].argmax(-1)[:, None, None].expand(-1, 1, 4)
            pairs = ((found.classes, found.boxes), (classes, boxes))
            said = [
                Said(z[i][there], _probabilities(z[i][there]), b[i][there].gather(1, best)[:, 0]) for z, b in pairs
            ]  # fmt: skip
            terms.append(divergence(said[0], said[1], distance, with_background))
        return torch.stack(terms).mean()

    def comparable(self, outputs: Tensor) -> tuple[tuple[int, ...], Tensor]:
        """The classes alone: the teacher judges boxes that are the student's."""
        return (self.number,), outputs.new_zeros(0)


class Judge:
    """A teacher's second stage. `levels`: (h, w) of its pyramid's levels, the finest first; `size`: (height, width) of
    its input, `own` of the student's."""

    def __init__(self, teacher: Any, levels: list[Size], size: Size, own: Size) -> None:
        self.teacher, self.levels, self.size, self.own = teacher, levels, size, own

    @torch.no_grad()
    def __call__(self, pyramid: Tensor, corners: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits against the background's (n, R, C) and boxes (n, R, C, 4), of boxes (n, R, 4); all boxes in
        pixels of the student's input."""
        scale = corners.new_tensor([self.size[1] / self.own[1], self.size[0] / self.own[0]] * 2)
        dtype = next(self.teacher.parameters()).dtype
        levels = unpack(pyramid.to(dtype), self.levels)
        classes, boxes = self.teacher.judge(levels, corners * scale, self.size)
        return classes, boxes / scale


def _probabilities(logits: Tensor) -> Tensor:
    return with_background(logits).softmax(-1)[..., 1:]


def _of_regions(found: Proposals, objects: Objects) -> Tensor:
    """(n,) of the first stage."""
    given = match(found.anchors, objects, FIRST)
    weights = chances(given, *REGIONS)
    wanted = given.positive.to(found.objectness.dtype)
    entropy = F.binary_cross_entropy_with_logits(found.objectness, wanted, reduction="none")
    gap = _gap(encoded(found.regions, found.anchors), encoded(given.boxes, found.anchors))
    return (weights * (entropy + torch.where(given.positive, gap, 0.0))).sum(1)


def _of_proposals(found: Proposals, objects: Objects) -> Tensor:
    """(n,) of the second."""
    there = found.there > 0
    given = match(found.corners, objects, SECOND)
    given = Matched(given.positive & there, given.negative & there, given.classes, given.boxes)
    weights = chances(given, *BOXES)
    wanted = torch.where(given.positive, given.classes + 1, 0)
    entropy = F.cross_entropy(with_background(found.classes).movedim(-1, 1), wanted, reduction="none")
    own = torch.take_along_dim(found.boxes, given.classes[..., None, None], 2)[:, :, 0]
    gap = _gap(encoded(own, found.corners, FINE), encoded(given.boxes, found.corners, FINE))
    return (weights * (entropy + torch.where(given.positive, gap, 0.0))).sum(1)


def _gap(ours: Tensor, theirs: Tensor) -> Tensor:
    return F.smooth_l1_loss(ours, theirs, reduction="none", beta=BETA).sum(-1)


def chances(given: Matched, most: int, share: float) -> Tensor:
    """(n, P) weights that sum to 1 an image: of `most` that are drawn at random, at most `share` of them positive and
    the rest negative, the chance of each to be drawn, divided by how many are drawn."""
    positives, negatives = (each.sum(1, keepdim=True) for each in (given.positive, given.negative))
    right = positives.clamp(max=int(most * share))
    wrong = torch.minimum(negatives, most - right)
    weights = torch.where(given.positive, right / positives.clamp(min=1), 0.0)
    weights = weights + torch.where(given.negative, wrong / negatives.clamp(min=1), 0.0)
    return weights / (right + wrong).clamp(min=1)
