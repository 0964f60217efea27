"""Average precision of a sample of the images, drawn with repetition: what a bootstrap asks."""

from __future__ import annotations

import torch
from torch import Tensor

from distill.tasks._images.bootstrap import REPLICATES
from distill.tasks.detect_objects.matching import average_precision
from distill.tasks.detect_objects.precision import Precision, Ranked

BUDGET, LEAST = 5e8, 100
_ELEMENTS = 2**22


def replicates(*found: Precision) -> int:
    """How many bootstrap samples an interval is taken from: 1,000, fewer (at least 100) where images and detections are
    many, so that it takes seconds (**our choice**)."""
    cost = sum(10 * len(ranked.images) for each in found for ranked in each.ranked)
    return int(min(REPLICATES, max(LEAST, BUDGET // max(1, cost))))


def weighted_ap(found: Precision, weights: Tensor, thresholds: slice = slice(None)) -> Tensor:
    """(r,): AP over classes and `thresholds` of IoU where image i counts `weights[:, i]` times, weights (r, n) float64.
    The matches of detections and objects are those of single images, and so do not change: of the images as they are,
    it is COCO's AP. Detections of equal score stay in their order."""
    of_classes = [
        _of_class(ranked, found.objects[:, number], weights, thresholds) for number, ranked in enumerate(found.ranked)
    ]
    return torch.stack(of_classes, -1).nanmean(-1).nan_to_num(0.0)


def class_ap(found: Precision, number: int, weights: Tensor) -> Tensor:
    """(r,): the same of one class; 0 of a sample without an object of it."""
    return _of_class(found.ranked[number], found.objects[:, number], weights, slice(None)).nan_to_num(0.0)


def _of_class(ranked: Ranked, objects: Tensor, weights: Tensor, thresholds: slice) -> Tensor:
    met, counted = ranked.met[thresholds].double(), (~ranked.left_out[thresholds]).double()
    rows = max(1, _ELEMENTS // max(1, met.numel()))
    return torch.cat([_part(ranked.images, met, counted, objects, part) for part in weights.split(rows)])


def _part(images: Tensor, met: Tensor, counted: Tensor, objects: Tensor, weights: Tensor) -> Tensor:
    mine = weights[:, None, images]  # (r, 1, k)
    right, all_ = (mine * met).cumsum(-1), (mine * counted).cumsum(-1)
    held = (weights @ objects)[:, None].expand(right.shape[:2])
    return average_precision(right, all_ - right, held).mean(-1)
