"""Which object each point of a dense detector answers for."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from distill.models.points import Points
from distill.tasks.detect_objects.geometry import area
from distill.tasks.detect_objects.rows import Objects

RADIUS = 1.5
"""Strides from an object's centre within which a point answers for it."""
NEAREST, FARTHEST = 4.0, 8.0
"""Strides from a point to the farthest side of its box, between which a level answers for it."""

MOST_PAIRS = 2**24
"""Pairs of a point and an object that are compared at once, about 1 GiB of a few tensors; beyond, image by image."""


@dataclass(frozen=True)
class Assigned:
    """positive: (n, P) bool, whether the point answers for an object. counted: (n, P) bool, whether its classes are
    taught: not where it stands in an ignored box alone. classes: (n, P) int64, 0 where it is not positive. boxes:
    (n, P, 4). centerness: (n, P) in [0, 1], how near the point is to its object's centre."""

    positive: Tensor
    counted: Tensor
    classes: Tensor
    boxes: Tensor
    centerness: Tensor


@torch.no_grad()
def assign(points: Points, objects: Objects) -> Assigned:
    """FCOS's rules (arXiv 1904.01355, section 3, with the centre sampling of its public code): a point answers for an
    object where

    * it stands within the object's box, at most 1.5 strides of its level from its centre in x and in y, and
    * its largest distance to a side of the box is between 4 and 8 strides of its level; the finest level has no lower
      bound, the coarsest no upper one;

    of several objects the smallest. centerness = sqrt( min(l, r) / max(l, r) * min(t, b) / max(t, b) ) for the
    distances l, t, r, b. An object that holds no point of its level is not learnt: a finer level (option `finest`) or
    a larger image helps. A batch of more than `MOST_PAIRS` pairs is assigned image by image, each with its own objects
    alone, so that one image of many objects does not cost as much memory for every other one.
    """
    count, rows = objects.there.shape
    if count * rows * points.strides.shape[1] <= MOST_PAIRS:
        return _assigned(points, objects)
    parts = [_assigned(points.images(i, i + 1), objects.image(i)) for i in range(count)]
    return Assigned(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(Assigned)))


def _assigned(points: Points, objects: Objects) -> Assigned:
    places, strides = points.places[:, :, None], points.strides[:, :, None]  # (n, P, 1, 2), (n, P, 1)
    corners = objects.corners[:, None]  # (n, 1, m, 4)
    sides = torch.cat([places - corners[..., :2], corners[..., 2:] - places], -1)  # (n, P, m, 4): l, t, r, b
    inside = sides.amin(-1) > 0
    centre = (corners[..., :2] + corners[..., 2:]) / 2
    near = (places - centre).abs().amax(-1) < RADIUS * strides
    fits = inside & near & _of_level(sides.amax(-1), points.strides) & objects.there[:, None]
    sizes = area(objects.corners)[:, None].expand_as(fits)
    smallest = torch.where(fits, sizes, torch.inf).argmin(-1)  # (n, P)
    positive = fits.any(-1)
    own = torch.take_along_dim(sides, smallest[..., None, None], 2)[:, :, 0]
    ignored = (inside & objects.ignored[:, None]).any(-1)
    return Assigned(
        positive,
        positive | ~ignored,
        torch.where(positive, objects.classes.gather(1, smallest), 0),
        torch.take_along_dim(objects.corners, smallest[..., None], 1),
        torch.where(positive, centerness(own), 0.0),
    )


def _of_level(reach: Tensor, strides: Tensor) -> Tensor:
    """Largest distances (n, P, m) to the sides, and strides (n, P): whether the point's level is the object's."""
    finest, coarsest = strides.amin(1, keepdim=True), strides.amax(1, keepdim=True)
    low = torch.where(strides == finest, 0.0, NEAREST * strides)
    high = torch.where(strides == coarsest, torch.inf, FARTHEST * strides)
    return (reach > low[..., None]) & (reach <= high[..., None])


def centerness(sides: Tensor) -> Tensor:
    """Distances (..., 4) to left, top, right and bottom -> (...) in [0, 1]: 1 in the middle of the box."""
    shares = [sides[..., [i, i + 2]] for i in range(2)]
    ratios = [pair.amin(-1).clamp(min=0) / pair.amax(-1).clamp(min=1e-6) for pair in shares]
    return (ratios[0] * ratios[1]).sqrt()
