"""The rows of a Q curve for masks: one class's region in one image, read off a layer's map.

**Our choice** (arXiv 2511.14981 leaves dense tasks open): a sample of the Q metric is a region, the pixels of one
class in one image. Its row is the mean of the feature over the mask, scaled to the feature's size by area:

    row = sum_p a_p F[:, p] / sum_p a_p,    a_p = share of the class in the cell p of the map

and its group is the class, so that Q asks how well a layer tells the classes of regions apart. Regions are drawn
class-stratified. A region of less than one cell of the coarsest scored map would be read off features that are mostly
of other classes: such regions are left out, of every layer, and counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from distill.data import stratify
from distill.layers import FeatureView
from distill.recipe_parts.layout import Layout
from distill.tasks._images.maps import Size, as_map, grid_of


class RegionView(FeatureView):
    """A feature as one row a region. `size`: (h, w) of the network's input, by which tokens find their places. A
    feature without positions gives its sample's vector to each of the sample's regions."""

    def __init__(self, size: Size) -> None:
        self.size = size

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (Layout(shape).channels,)

    def count(self, inputs: Any, marks: Any = None) -> int:
        return int(marks["kept"].sum())

    def rows(self, feature: Tensor, inputs: Any, marks: Any = None) -> Tensor:
        """(n, *feature shape) -> (m, c), by image and within it by class. `marks`: `mask` (n, h, w) classes, `kept`
        (n, C) bool: the regions that count."""
        maps = as_map(feature, self.size)
        found = [_of_one(one, mask, kept) for one, mask, kept in zip(maps, marks["mask"], marks["kept"], strict=True)]
        return torch.cat(found)


def _of_one(feature: Tensor, mask: Tensor, kept: Tensor) -> Tensor:
    """Feature (c, h', w'), mask (h, w), kept (C) -> (k, c)."""
    classes = torch.nonzero(kept)[:, 0]
    size = (feature.shape[-2], feature.shape[-1])
    share = F.adaptive_avg_pool2d((mask == classes[:, None, None]).float(), size).flatten(1)
    weights = share / share.sum(1, keepdim=True)
    return (weights @ feature.float().flatten(1).T).to(feature.dtype)


@dataclass(frozen=True)
class Regions:
    """`images` (i,): positions of the images that hold them, ascending; `kept` (i, C) bool: which of their classes;
    `labels` (m,): the class of each region, by image and within it by class; `left_out`: how many were smaller than a
    cell."""

    images: NDArray[np.int64]
    kept: NDArray[np.bool_]
    labels: NDArray[np.int64]
    left_out: int


def choose(pixels: NDArray[np.int64], unlabelled: NDArray[np.int64], cells: int, count: int, seed: int) -> Regions:
    """At most `count` regions, class-stratified. `pixels` (n, C): labelled pixels of each image by class; `cells`: of
    the coarsest map. Raises `InvalidConfig` where `count` is less than the classes."""
    whole = pixels.sum(1) + unlabelled
    enough = pixels * cells >= whole[:, None]
    image, number = np.nonzero(enough)
    taken = stratify.sample(number.astype(np.int64), count, seed) if len(number) else np.zeros(0, np.int64)
    kept = np.zeros_like(enough)
    kept[image[taken], number[taken]] = True
    images = np.flatnonzero(kept.any(1))
    return Regions(images, kept[images], np.nonzero(kept[images])[1], int(((pixels > 0) & ~enough).sum()))


def coarsest(shapes: list[tuple[int, ...]], size: Size) -> int:
    """Cells of the smallest map among features of these shapes; features without positions do not count."""
    cells = [_cells(Layout(shape), size) for shape in shapes]
    return min((count for count in cells if count > 1), default=1)


def _cells(layout: Layout, size: Size) -> int:
    if layout.is_map:
        return layout.tokens
    height, width = grid_of(layout.tokens, size)
    return height * width
