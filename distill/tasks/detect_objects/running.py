"""Average precision of a whole pass from sums over its batches: by histograms of scores."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from distill.tasks.detect_objects.detections import Detections
from distill.tasks.detect_objects.matching import THRESHOLDS, Truth, average_precision, matched, overlaps
from distill.tasks.detect_objects.rows import Objects

BINS = 256
"""Scores are told apart by 1 / 256: detections of one bin count as if they had one score."""


def counts(found: list[Detections], objects: Objects, classes: int) -> tuple[Tensor, Tensor]:
    """Of a batch: (2, 10, C, BINS) float64, detections that meet an object and that do not, by threshold of IoU, class
    and score; and (C,) the objects."""
    table = np.zeros((2, len(THRESHOLDS), classes, BINS))
    there, ignored = objects.there.cpu().numpy(), objects.ignored.cpu().numpy()
    numbers, corners = objects.classes.cpu().numpy(), objects.corners.detach().float().cpu()
    for i, one in enumerate(found):
        for number in np.unique(one.classes.numpy()):
            rows = np.flatnonzero((numbers[i] == number) & (there[i] | ignored[i]))
            truth = Truth(corners[i, rows], ignored[i, rows], np.zeros(len(rows), np.bool_))
            mine = one.classes == int(number)
            met, left_out = matched(overlaps(one.corners[mine], truth), truth)
            bins = (one.scores[mine].double() * BINS).long().clamp(max=BINS - 1).numpy()
            for k, score in enumerate(bins):
                table[0, :, number, score] += met[:, k]
                table[1, :, number, score] += ~met[:, k] & ~left_out[:, k]
    held = torch.bincount(objects.classes[objects.there].cpu(), minlength=classes).double()
    return torch.from_numpy(table), held


def precision_by_threshold(table: Tensor, objects: Tensor) -> Tensor:
    """(10,): the mean AP over the classes that have an object, by threshold; 0 where none has. `table`, `objects`: sums
    of `counts`."""
    right, wrong = table.flip(-1).cumsum(-1)
    found = average_precision(right, wrong, objects.expand(right.shape[:-1]))
    return found.nanmean(-1).nan_to_num(0.0)
