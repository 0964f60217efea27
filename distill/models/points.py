"""What a dense detector gives: for every point of its levels class logits, a box and a centerness, in one tensor.

A point is the centre of a cell of a level. Its row says what stands there, and also where it stands: whoever reads the
rows needs to know neither the network's strides nor its input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

POINTS = "points"
"""What a network that gives such rows says of itself in its attribute `answers`."""
BESIDE = 8
"""Columns of a row beside its class logits."""
Size = tuple[int, int]


@dataclass(frozen=True)
class Points:
    """Rows (..., P, C + 8) by what their columns mean; each is a view of the rows.

    classes: (..., P, C) logits, of a sigmoid each. boxes: (..., P, 4), x1 y1 x2 y2 in pixels of the network's input.
    centerness: (..., P), a logit. places: (..., P, 2), x and y of the point in pixels. strides: (..., P), pixels
    between neighbouring points of its level.
    """

    classes: Tensor
    boxes: Tensor
    centerness: Tensor
    places: Tensor
    strides: Tensor

    @classmethod
    def of(cls, rows: Tensor) -> Points:
        beside = rows[..., -BESIDE:]
        return cls(rows[..., :-BESIDE], beside[..., :4], beside[..., 4], beside[..., 5:7], beside[..., 7])

    def images(self, start: int, stop: int) -> Points:
        """Those of some images of a batch (n, P, ...)."""
        parts = (self.classes, self.boxes, self.centerness, self.places, self.strides)
        return Points(*(part[start:stop] for part in parts))

    def scores(self) -> Tensor:
        """(..., P, C) in [0, 1]: sqrt(p(class) p(centre)), as torchvision's FCOS has it."""
        return (self.classes.sigmoid() * self.centerness.sigmoid()[..., None]).sqrt()


def grid(sizes: Sequence[Size], image: Size, like: Tensor, within: float = 0.5) -> tuple[Tensor, Tensor]:
    """Places (P, 2) and strides (P,) of the cells of levels of `sizes` (h, w), which each cover `image` (height, width)
    pixels; level after level, each in reading order, in the type and on the device of `like`. `within`: where in its
    cell a point stands, from the upper left corner (0) to the lower right (1).

    A level's stride is a power of two where the backbone halves: the image's side over the level's, rounded up, and at
    least twice the finer level's (`strides_of`).
    """
    places, strides = [], []
    for (height, width), stride in zip(sizes, strides_of(sizes, image), strict=True):
        y = (torch.arange(height, dtype=like.dtype, device=like.device) + within) * stride
        x = (torch.arange(width, dtype=like.dtype, device=like.device) + within) * stride
        places.append(torch.stack([x.expand(height, width), y[:, None].expand(height, width)], -1).reshape(-1, 2))
        strides.append(torch.full((height * width,), float(stride), dtype=like.dtype, device=like.device))
    return torch.cat(places), torch.cat(strides)


def strides_of(sizes: Sequence[Size], image: Size) -> list[int]:
    """Of levels of `sizes` (h, w), the finest first. Each is at least twice the one before: levels of one cell, as a
    small image has several, stay apart."""
    strides: list[int] = []
    for size in sizes:
        least = 2 * strides[-1] if strides else 1
        strides.append(max(least, stride_of(size, image)))
    return strides


def stride_of(level: Size, image: Size) -> int:
    """The smallest power of two by which cells of `level` (h, w) cover `image` (height, width)."""
    stride = 1
    while stride * level[0] < image[0] or stride * level[1] < image[1]:
        stride *= 2
    return stride


def assemble(
    classes: Tensor, distances: Tensor, centerness: Tensor, sizes: Sequence[Size], image: Size, within: float = 0.5
) -> Tensor:
    """Rows (n, P, C + 8) in fp32 of class logits (n, P, C), distances (n, P, 4) from the point to the box's left, top,
    right and bottom side in strides, and centerness (n, P, 1); the box's corners leave the image where they do."""
    classes, distances, centerness = classes.float(), distances.float(), centerness.float()
    places, strides = grid(sizes, image, classes, within)
    reach = distances * strides[:, None]
    boxes = torch.cat([places - reach[..., :2], places + reach[..., 2:]], -1)
    where = torch.cat([places, strides[:, None]], -1).expand(classes.shape[0], -1, -1)
    return torch.cat([classes, boxes, centerness, where], -1)


def pack(levels: Sequence[Tensor]) -> Tensor:
    """Maps (n, c, h_l, w_l) -> (n, P, c): the cells of all levels in one row of tokens."""
    return torch.cat([level.flatten(2).movedim(1, -1) for level in levels], 1)


def unpack(tokens: Tensor, sizes: Sequence[Size]) -> list[Tensor]:
    """The inverse of `pack`."""
    parts = torch.split(tokens, [height * width for height, width in sizes], 1)
    return [
        part.movedim(-1, 1).reshape(part.shape[0], -1, height, width)
        for part, (height, width) in zip(parts, sizes, strict=True)
    ]
