"""Which object each anchor of a detector answers for: by overlap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from distill.tasks.detect_objects.assignment import MOST_PAIRS
from distill.tasks.detect_objects.geometry import iou
from distill.tasks.detect_objects.rows import Objects


@dataclass(frozen=True)
class Matched:
    """positive: (n, P) bool, answers for an object. negative: (n, P) bool, taught as background. classes: (n, P) int64,
    0 where it is not positive. boxes: (n, P, 4), those of the object."""

    positive: Tensor
    negative: Tensor
    classes: Tensor
    boxes: Tensor


@dataclass(frozen=True)
class Rule:
    """From an overlap (IoU) of `high` on an anchor answers for the object that it overlaps most, below `low` it is
    background, between them it is not taught. `nearest`: which anchors below `high` answer too, so that every object
    has one."""

    high: float
    low: float
    nearest: Callable[[Tensor, Tensor], Tensor] | None = None


@torch.no_grad()
def match(boxes: Tensor, objects: Objects, rule: Rule) -> Matched:
    """By torchvision's rules, of anchors (n, P, 4). Ignored boxes are no objects, and an anchor whose centre stands in
    one is no background. More than `MOST_PAIRS` pairs are matched image by image."""
    count, rows = objects.there.shape
    if count * rows * boxes.shape[1] <= MOST_PAIRS:
        return _matched(boxes, objects, rule)
    parts = [_matched(boxes[i : i + 1], objects.image(i), rule) for i in range(count)]
    names = ("positive", "negative", "classes", "boxes")
    return Matched(*(torch.cat([getattr(part, name) for part in parts]) for name in names))


def _matched(boxes: Tensor, objects: Objects, rule: Rule) -> Matched:
    overlap = iou(boxes[:, :, None], objects.corners[:, None])  # (n, P, m)
    overlap = torch.where(objects.there[:, None], overlap, -1.0)
    best, which = overlap.max(-1)
    positive = best >= rule.high
    if rule.nearest is not None:
        others = rule.nearest(overlap, which)  # (n, P): the object of an anchor that answers too, -1 of the others
        which, positive = torch.where(others >= 0, others, which), positive | (others >= 0)
    centres = (boxes[..., :2] + boxes[..., 2:])[:, :, None] / 2
    corners = objects.corners[:, None]
    inside = ((centres > corners[..., :2]) & (centres < corners[..., 2:])).all(-1) & objects.ignored[:, None]
    return Matched(
        positive,
        ~positive & (best < rule.low) & ~inside.any(-1),
        torch.where(positive, objects.classes.gather(1, which), 0),
        torch.take_along_dim(objects.corners, which[..., None], 1),
    )


def all_that_overlap_most(overlap: Tensor, which: Tensor) -> Tensor:
    """(n, P) of overlaps (n, P, m) and the best object `which` (n, P): every anchor that some object overlaps as much
    as no other anchor answers for its own best object, as in Faster R-CNN and RetinaNet. An object that meets no anchor
    has none (**our choice**; torchvision would give it all)."""
    top = overlap.amax(1, keepdim=True)
    return torch.where(((overlap == top) & (top > 0)).any(-1), which, -1)


def one_for_each(overlap: Tensor, which: Tensor) -> Tensor:
    """(n, P): of each object the anchor that overlaps it most answers for that object, as in SSD. Of several objects of
    one anchor the last."""
    count, places, objects = overlap.shape
    top, anchor = overlap.max(1)  # (n, m)
    anchor = torch.where(top > 0, anchor, places)  # beyond the last: an object that meets none
    found = overlap.new_full((count, places + 1), -1, dtype=torch.int64)
    for number in range(objects):
        found.scatter_(1, anchor[:, number : number + 1], number)
    return found[:, :-1]
