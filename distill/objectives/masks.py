"""Weights of a map's cells by the objects that they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor


class Boxes(Protocol):
    """As `distill.answers.Regions`."""

    @property
    def corners(self) -> Tensor: ...
    @property
    def there(self) -> Tensor: ...
    @property
    def ignored(self) -> Tensor: ...


@torch.no_grad()
def region_shares(boxes: Boxes, size: Sequence[int]) -> Tensor:
    """(n, h, w): 1 / (cells of the box) within each object's box, of several boxes the largest, 0 elsewhere, on a map
    of `size` (h, w). A box's cells reach from floor of its upper left corner to ceil of its lower right one, both
    included; those beyond the map count among its cells (yzd-v/FGD, `FeatureLoss`)."""
    low, high = _cells(boxes.corners, size)
    counts = (high - low + 1).prod(-1)  # (n, m)
    shares = torch.where(boxes.there, 1 / counts, 0.0)
    return (_covered(low, high, size) * shares[:, :, None, None]).amax(1)


@torch.no_grad()
def background_shares(boxes: Boxes, size: Sequence[int]) -> Tensor:
    """(n, h, w): 1 / (their number) at the cells that no box covers, 0 elsewhere; all 0 where boxes cover all."""
    low, high = _cells(boxes.corners, size)
    filled = (boxes.there | boxes.ignored)[:, :, None, None]
    outside = (~(_covered(low, high, size) & filled).any(1)).float()
    return outside / outside.sum((1, 2), keepdim=True).clamp(min=1)


def _cells(corners: Tensor, size: Sequence[int]) -> tuple[Tensor, Tensor]:
    """First and last cell (n, m, 2), x and y, of each box."""
    sides = corners.new_tensor([size[1], size[0]])
    return (corners[..., :2] * sides).floor(), (corners[..., 2:] * sides).ceil()


def _covered(low: Tensor, high: Tensor, size: Sequence[int]) -> Tensor:
    """(n, m, h, w) bool."""
    x, y = (torch.arange(side, device=low.device) for side in (size[1], size[0]))
    across = (x >= low[..., :1]) & (x <= high[..., :1])
    down = (y >= low[..., 1:]) & (y <= high[..., 1:])
    return down[..., :, None] & across[..., None, :]
