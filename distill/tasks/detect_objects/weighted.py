"""Average precision of samples of the images, drawn with repetition: what a bootstrap asks."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from distill.bootstrap import REPLICATES, weights
from distill.tasks.detect_objects.matching import average_precision
from distill.tasks.detect_objects.precision import Precision, Ranked

BUDGET, LEAST = 5e8, 100
_ELEMENTS = 2**22


def replicates(*found: Precision) -> int:
    """How many bootstrap samples an interval is taken from: 1,000, fewer (at least 100) where images and detections are
    many, so that it takes seconds (**our choice**)."""
    cost = sum(10 * len(ranked.images) for each in found for ranked in each.ranked)
    return int(min(REPLICATES, max(LEAST, BUDGET // max(1, cost))))


@lru_cache(maxsize=4)
def drawn(found: Precision, times: int) -> Tensor:
    """(times, 10, C): AP by bootstrap sample of the images, threshold of IoU and class, NaN of a sample without an
    object of the class. Samples are the same for all networks on the same images."""
    return weighted_table(found, weights(len(found.objects))[:times].double())


def overall(table: Tensor) -> Tensor:
    """(r, ..., C) -> (r,): the mean over thresholds and the classes that have an object; 0 where none has."""
    return table.flatten(1).nanmean(-1).nan_to_num(0.0)


def weighted_table(found: Precision, counts: Tensor) -> Tensor:
    """(r, 10, C): AP by threshold of IoU and class where image i counts `counts[:, i]` times, counts (r, n) float64.
    The matches of detections and objects are those of single images, and so do not change: of the images as they are,
    it is COCO's AP. Detections of equal score stay in their order."""
    of_classes = [_of_class(ranked, found.objects[:, c], counts) for c, ranked in enumerate(found.ranked)]
    return torch.stack(of_classes, -1)


def _of_class(ranked: Ranked, objects: Tensor, counts: Tensor) -> Tensor:
    met, counted = ranked.met.double(), (~ranked.left_out).double()
    rows = max(1, _ELEMENTS // max(1, met.numel()))
    return torch.cat([_part(ranked.images, met, counted, objects, part) for part in torch.split(counts, rows)])


def _part(images: Tensor, met: Tensor, counted: Tensor, objects: Tensor, counts: Tensor) -> Tensor:
    mine = counts[:, None, images]  # (r, 1, k)
    right, all_ = (mine * met).cumsum(-1), (mine * counted).cumsum(-1)
    held = (counts @ objects)[:, None].expand(right.shape[:2])
    return average_precision(right, all_ - right, held)
