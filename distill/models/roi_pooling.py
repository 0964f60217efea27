"""Features under boxes, read off the levels of a pyramid: RoI-align as torchvision's detectors have it."""

from __future__ import annotations

from collections.abc import Sequence
from math import log2

import torch
import torch.nn.functional as F
from torch import Tensor

from distill.models.nms import COMPILED
from distill.models.points import Size

CELLS, SAMPLES = 7, 2
"""Cells a side of what is read; points a side at which the map is read in each of them."""
CANONICAL_SIDE, CANONICAL_LEVEL = 224, 4
"""A box of 224 x 224 pixels is read off the level of stride 16 (Lin et al. 2017, arXiv 1612.03144, equation 1)."""


def pooled(levels: Sequence[Tensor], corners: Tensor, image: Size) -> Tensor:
    """(n R, c, 7, 7) of maps (n, c, h_l, w_l), the finest first, under boxes (n, R, 4) in pixels of an input of `image`
    (height, width). Each box is read off one level, by its size. As torchvision's `MultiScaleRoIAlign(7,
    sampling_ratio=2)`."""
    scales = [2.0 ** round(log2(level.shape[-2] / image[0])) for level in levels]
    chosen = _levels(corners, [round(-log2(scale)) for scale in scales])
    traced = torch.compiler.is_exporting() or corners.is_meta
    found = (_of_all if traced else _of_each)(levels, corners, scales, chosen)
    return found.flatten(0, 1)


def _levels(corners: Tensor, numbers: Sequence[int]) -> Tensor:
    """(n, R): positions in `numbers`, log2 of the strides."""
    sides = (corners[..., 2:] - corners[..., :2]).clamp(min=0)
    side = (sides[..., 0] * sides[..., 1]).sqrt()
    wanted = (CANONICAL_LEVEL + (side / CANONICAL_SIDE).log2() + 1e-6).floor()
    return wanted.clamp(numbers[0], numbers[-1]).nan_to_num(numbers[0]).long() - numbers[0]


def _of_each(levels: Sequence[Tensor], corners: Tensor, scales: Sequence[float], chosen: Tensor) -> Tensor:
    """Each box on its own level alone. Waits for the device."""
    n, count = chosen.shape
    found = levels[0].new_zeros(n, count, levels[0].shape[1], CELLS, CELLS)
    for number, (level, scale) in enumerate(zip(levels, scales, strict=True)):
        for i in range(n):
            mine = (chosen[i] == number).nonzero()[:, 0]
            if len(mine):
                read = aligned(level[i : i + 1], corners[i, mine][None], scale)[0].to(found.dtype)
                found = found.index_put((torch.full_like(mine, i), mine), read)
    return found


def _of_all(levels: Sequence[Tensor], corners: Tensor, scales: Sequence[float], chosen: Tensor) -> Tensor:
    """Each box on all levels, of which one is taken: shapes do not depend on the boxes."""
    found = torch.zeros((), device=corners.device)
    for number, (level, scale) in enumerate(zip(levels, scales, strict=True)):
        mine = (chosen == number)[:, :, None, None, None]
        found = torch.where(mine, aligned(level, corners, scale, compiled=False), found)
    return found


def aligned(feature: Tensor, corners: Tensor, scale: float, compiled: bool = COMPILED) -> Tensor:
    """(n, R, c, 7, 7): maps (n, c, h, w) under boxes (n, R, 4), whose pixels are `scale` cells, within the input. As
    torchvision's `roi_align` with `sampling_ratio` 2 and not `aligned`, which is used where it is compiled."""
    if compiled:
        from torchvision.ops import roi_align

        boxes = [each.to(feature.dtype) for each in corners]
        return roi_align(feature, boxes, CELLS, scale, SAMPLES).unflatten(0, corners.shape[:2])  # type: ignore[no-any-return]
    size, count = feature.shape[-2:], corners.shape[1]
    low = corners[..., :2] * scale
    sides = (corners[..., 2:] * scale - low).clamp(min=1.0)
    steps = (torch.arange(CELLS * SAMPLES, device=corners.device) + 0.5) / (CELLS * SAMPLES)
    places = low[:, :, None] + steps[:, None] * sides[:, :, None]  # (n, R, s, 2): x and y, cell 0 at 0
    x, y = (2 * places[..., axis] + 1 for axis in range(2))
    x, y = x / size[1] - 1, y / size[0] - 1  # -1 and 1 are the map's edges
    side = len(steps)
    grid = torch.stack([x[:, :, None].expand(-1, -1, side, -1), y[..., None].expand(-1, -1, -1, side)], -1)
    read = F.grid_sample(feature, grid.flatten(1, 2).to(feature.dtype), padding_mode="border", align_corners=False)
    read = read.reshape(*read.shape[:2], count, CELLS, SAMPLES, CELLS, SAMPLES).mean((4, 6))
    return read.movedim(1, 2)
