"""What a detector with anchors gives: for every anchor class logits and a box, in one tensor.

An anchor is a box that stands ready at a cell of a level: the network says what is there and how its box differs. Rows
say where the anchor is, so that whoever reads them needs to know neither the network's strides nor its input.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from distill.models.points import Size, strides_of

SIGMOIDS, DEFAULT_BOXES = "anchors", "default_boxes"
"""What networks that give such rows say of themselves in their attribute `answers`: classes by a sigmoid each
(RetinaNet), or by a softmax that has a background too (SSD), to whose logit theirs are then relative."""
BESIDE_ANCHOR = 9
"""Columns of an anchor's row beside its class logits."""
LARGEST = math.log(1000.0 / 16)
"""ln of the largest side of a box, in sides of its anchor, as torchvision's `BoxCoder`."""
Weights = tuple[float, float, float, float]
ONE: Weights = (1.0, 1.0, 1.0, 1.0)
FINE: Weights = (10.0, 10.0, 5.0, 5.0)
"""Of the deltas of SSD's boxes and of the second stage of Faster R-CNN."""


@dataclass(frozen=True)
class Anchors:
    """Rows (..., P, C + 9) by what their columns mean; each is a view of the rows.

    classes: (..., P, C) logits. boxes, anchors: (..., P, 4), x1 y1 x2 y2 in pixels of the network's input. strides:
    (..., P), pixels between neighbouring cells of the anchor's level.
    """

    classes: Tensor
    boxes: Tensor
    anchors: Tensor
    strides: Tensor

    @classmethod
    def of(cls, rows: Tensor) -> Anchors:
        beside = rows[..., -BESIDE_ANCHOR:]
        return cls(rows[..., :-BESIDE_ANCHOR], beside[..., :4], beside[..., 4:8], beside[..., 8])

    @property
    def places(self) -> Tensor:
        """(..., P, 2): the anchors' centres."""
        return (self.anchors[..., :2] + self.anchors[..., 2:]) / 2

    def images(self, start: int, stop: int) -> Anchors:
        """Those of some images of a batch (n, P, ...)."""
        return Anchors(*(getattr(self, field.name)[start:stop] for field in fields(self)))


def assembled(classes: Tensor, deltas: Tensor, anchors: Tensor, strides: Tensor, weights: Weights = ONE) -> Tensor:
    """Rows (n, P, C + 9) in fp32 of class logits (n, P, C), `deltas` (n, P, 4) of boxes from the anchors (P, 4), and
    strides (P,)."""
    classes = classes.float()
    boxes = decoded(deltas.float(), anchors, weights)
    where = torch.cat([anchors, strides[:, None]], -1).expand(classes.shape[0], -1, -1)
    return torch.cat([classes, boxes, where], -1)


def decoded(deltas: Tensor, anchors: Tensor, weights: Weights = ONE) -> Tensor:
    """Boxes (..., 4) x1 y1 x2 y2 of deltas (..., 4) from anchors (..., 4):

        centre = anchor's centre + (d_x / w_x, d_y / w_y) sides,   sides = anchor's sides exp(d_w / w_w, d_h / w_h)

    with w the `weights`, as torchvision's `BoxCoder`; exponents are at most ln(1000 / 16)."""
    deltas = deltas / deltas.new_tensor(weights)
    sides = anchors[..., 2:] - anchors[..., :2]
    centres = (anchors[..., :2] + anchors[..., 2:]) / 2 + deltas[..., :2] * sides
    half = sides * deltas[..., 2:].clamp(max=LARGEST).exp() / 2
    return torch.cat([centres - half, centres + half], -1)


def encoded(boxes: Tensor, anchors: Tensor, weights: Weights = ONE) -> Tensor:
    """The inverse of `decoded`: deltas (..., 4) of boxes (..., 4). Sides below 1e-6 pixels count as that."""
    sides, own = (each[..., 2:] - each[..., :2] for each in (boxes, anchors))
    sides, own = sides.clamp(min=1e-6), own.clamp(min=1e-6)
    shift = (boxes[..., :2] + boxes[..., 2:] - anchors[..., :2] - anchors[..., 2:]) / 2
    return torch.cat([shift / own, (sides / own).log()], -1) * boxes.new_tensor(weights)


def anchors_strides(sizes: Sequence[Size], image: Size, each: Sequence[int], like: Tensor) -> Tensor:
    """(P,): the stride of each anchor of levels of `sizes` (h, w), `each` of which has so many at a cell."""
    spans = [
        torch.full((height * width * count,), float(stride), device=like.device)
        for (height, width), count, stride in zip(sizes, each, strides_of(sizes, image), strict=True)
    ]
    return torch.cat(spans)


def against_background(logits: Tensor) -> Tensor:
    """(..., 1 + C) logits of a softmax whose first class is the background -> (..., C): the others less it. A softmax
    of these and of 0 for the background is the same softmax."""
    return logits[..., 1:] - logits[..., :1]
