"""Which detections meet an object, and average precision from it, as COCO defines them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill.tasks.detect_objects.geometry import area, intersection, iou

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Truth:
    """The objects (g,) of one class in one image: their corners (g, 4), and which of them are ignored and crowds."""

    corners: Tensor
    ignored: Flags
    crowd: Flags


def overlaps(found: Tensor, truth: Truth) -> NDArray[np.float64]:
    """(k, g): IoU of detections (k, 4) and objects; with a crowd the share of the detection that it covers."""
    a, b = found.double()[:, None], truth.corners.double()[None]
    shares = intersection(a, b) / area(a).clamp(min=1e-12)
    both = torch.where(torch.from_numpy(truth.crowd)[None], shares, iou(a, b))
    return both.numpy()


def matched(overlap: NDArray[np.float64], truth: Truth) -> tuple[Flags, Flags]:
    """(10, k) each, by threshold and detection, of overlaps (k, g) whose detections come best first: whether it meets
    an object, and whether it counts neither for nor against the detector.

    COCO's rule: each detection takes the object that it overlaps most of those that are left and reach the threshold;
    an ignored one only where no other does. A crowd may be taken again and again."""
    count, objects = overlap.shape
    met, left_out = (np.zeros((len(THRESHOLDS), count), np.bool_) for _ in range(2))
    if not objects:
        return met, left_out
    free = np.ones((len(THRESHOLDS), objects), np.bool_)
    rows = np.arange(len(THRESHOLDS))
    for k in range(count):
        reach = free & (overlap[k] >= THRESHOLDS[:, None])
        for wanted, flags in ((~truth.ignored, met), (truth.ignored, left_out)):
            candidates = np.where(reach & wanted, overlap[k], -1.0)
            best = objects - 1 - candidates[:, ::-1].argmax(1)  # of equal ones the last, as COCO
            hit = (candidates[rows, best] >= 0) & ~met[:, k]
            flags[:, k] = hit
            free[rows[hit], best[hit]] &= truth.crowd[best[hit]]
    return met, left_out


def average_precision(right: Tensor, wrong: Tensor, objects: Tensor) -> Tensor:
    """AP in [0, 1], (...,), of cumulative counts `right` and `wrong` (..., k) of detections in falling order of score,
    and `objects` (...,) that there are: the mean over the recalls 0, 0.01, ..., 1 of the largest precision that is
    reached at that recall or a higher one. NaN without an object."""
    recall = right / objects[..., None].clamp(min=1e-12)
    precision = right / (right + wrong).clamp(min=1e-12)
    best = precision.flip(-1).cummax(-1).values.flip(-1) if right.shape[-1] else precision
    wanted = torch.from_numpy(RECALLS).to(recall).expand(*recall.shape[:-1], -1).contiguous()
    place = torch.searchsorted(recall.contiguous(), wanted)
    padded = torch.cat([best, torch.zeros_like(objects)[..., None].to(best)], -1)  # recalls that are never reached
    mean = padded.gather(-1, place).mean(-1)
    return torch.where(objects > 0, mean, torch.nan)
