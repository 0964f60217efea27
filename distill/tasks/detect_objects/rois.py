"""The rows of a Q curve for boxes: one object, read off a layer's map.

**Our choice** (arXiv 2511.14981 leaves detection open; TLogME, arXiv 2306.15306, reads ground-truth boxes so to score
whole detectors): a sample of the Q metric is an object's box. Its row is the layer's map under the box by RoI-align (He
et al. 2017, arXiv 1703.06870), of `cells` x `cells` cells that are flattened; its group is the class. A pyramid's
feature holds several maps: each box is read off the level that FCOS has answer for it.

A box smaller than one cell of a layer is left out there (`covering`): RoI-align would read the map between the cells'
centres, and boxes within one cell would share their values. So a layer's Q is of the boxes that it can show, and layers
of other cells are compared on other boxes: a coarse layer is judged by the large ones. A layer in which fewer than two
classes would keep two boxes is scored on all of them (**our choice**), since it would have no Q.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from distill.data import stratify
from distill.layers import FeatureView
from distill.models.points import unpack
from distill.recipe_parts.layout import Layout
from distill.tasks._images.maps import Size, as_map, grid_of
from distill.tasks.detect_objects.boxes import Boxes
from distill.tasks.detect_objects.geometry import iou
from distill.tasks.detect_objects.levels import Levels

SAMPLES = 2
"""Points a side at which RoI-align reads the map within each of its cells."""
LEAST = 2
"""Classes that a layer must tell apart, and boxes that each of them must have there."""
TRIES, CLEAR = 20, 0.1
"""Places that are drawn for a box of background; the IoU with a box of the image that it must stay below."""


class RoIView(FeatureView):
    """A feature as one row a box. `size`: (h, w) of the network's input; `cells`: of a row's grid, a side."""

    def __init__(self, size: Size, levels: Levels, cells: int = 1) -> None:
        self.size, self.levels, self.cells = size, levels, cells

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (Layout(shape).channels * self.cells**2,)

    def count(self, inputs: Any, marks: Any = None) -> int:
        return int(marks["kept"].sum())

    def rows(self, feature: Tensor, inputs: Any, marks: Any = None) -> Tensor:
        """(n, *feature shape) -> (m, c * cells^2), by image and within it by box. `marks`: `corners` (n, b, 4) in
        pixels of the input, `kept` (n, b) bool: the boxes that count."""
        kept = marks["kept"]
        corners, image = marks["corners"][kept], torch.nonzero(kept)[:, 0]
        if not self._is_pyramid(feature):
            return self._read(as_map(feature, self.size), corners, image)
        maps = unpack(feature, self.levels.sizes)
        level = self.levels.of_boxes(corners)
        found = feature.new_zeros(len(corners), maps[0].shape[1] * self.cells**2)
        for number, one in enumerate(maps):
            mine = level == number
            found[mine] = self._read(one, corners[mine], image[mine])
        return found

    def _is_pyramid(self, feature: Tensor) -> bool:
        return feature.dim() == 3 and feature.shape[1] == self.levels.points and len(self.levels.sizes) > 1

    def _read(self, maps: Tensor, corners: Tensor, image: Tensor) -> Tensor:
        """(m, c * cells^2) of maps (n, c, h', w'); `image` (m,) ascending."""
        counts = torch.bincount(image, minlength=len(maps)).tolist()
        parts = [
            roi_align(one, boxes, self.size, self.cells)
            for one, boxes in zip(maps, torch.split(corners, counts), strict=True)
            if len(boxes)
        ]
        return torch.cat([maps.new_zeros(0, maps.shape[1] * self.cells**2), *(each.to(maps.dtype) for each in parts)])


def roi_align(feature: Tensor, corners: Tensor, size: Size, cells: int) -> Tensor:
    """(m, c * cells^2) in fp32: a map (c, h', w') under each of the boxes (m, 4), in pixels of an input of `size`, as a
    grid of `cells` x `cells`, each the mean of 2 x 2 points that are read bilinearly between the map's cells.

    As torchvision's `roi_align` with `sampling_ratio` 2 and `aligned`, for boxes within the image. torchvision's own
    form for a torch without its compiled operators is compiled first, which takes a minute."""
    steps = (torch.arange(cells * SAMPLES, device=corners.device) + 0.5) / (cells * SAMPLES)
    low, high = corners[:, None, :2], corners[:, None, 2:]
    sides = corners.new_tensor([size[1], size[0]])
    places = 2 * (low + steps[:, None] * (high - low)) / sides - 1  # (m, s, 2): x and y of the points, -1 to 1
    x, y = places[..., 0], places[..., 1]
    grid = torch.stack([x[:, None, :].expand(-1, len(steps), -1), y[:, :, None].expand(-1, -1, len(steps))], -1)
    points = F.grid_sample(
        feature.float()[None], grid.flatten(0, 1)[None].float(), padding_mode="border", align_corners=False
    )  # (1, c, m s, s)
    means = F.avg_pool2d(points, SAMPLES)[0]  # (c, m cells, cells)
    return means.reshape(len(means), -1, cells, cells).movedim(1, 0).flatten(1)


@dataclass(frozen=True)
class Chosen:
    """Boxes for a Q curve. `images` (i,): positions of the images that hold them, ascending; `corners`: of each such
    image the boxes (k, 4) in pixels of the input; `labels` (m,): the class of each, by image and within it by box;
    `left_out`: how many objects were smaller than a cell."""

    images: NDArray[np.int64]
    corners: tuple[NDArray[np.float32], ...]
    labels: NDArray[np.int64]
    left_out: int


def choose(boxes: Sequence[Boxes], shown: Sequence[NDArray[np.float32]], cell: float, count: int, seed: int) -> Chosen:
    """At most `count` objects, class-stratified, of those that cover `cell` square pixels. `shown`: of each image
    the corners (m, 4) of its boxes in pixels of the input. Ignored boxes are none. Raises `InvalidConfig` where `count`
    is less than the classes."""
    large = [(areas_of(one) >= cell) & ~mine.ignored for one, mine in zip(shown, boxes, strict=True)]
    image = np.repeat(np.arange(len(boxes)), [int(one.sum()) for one in large])
    number = np.concatenate([np.zeros(0, np.int64), *(b.classes[k] for b, k in zip(boxes, large, strict=True))])
    corners = np.concatenate([np.zeros((0, 4), np.float32), *(c[k] for c, k in zip(shown, large, strict=True))])
    taken = stratify.sample(number, count, seed) if len(number) else np.zeros(0, np.int64)
    images = np.unique(image[taken]).astype(np.int64)
    small = sum(int((~one.ignored & ~flags).sum()) for one, flags in zip(boxes, large, strict=True))
    return Chosen(images, tuple(corners[taken][image[taken] == i] for i in images), number[taken], small)


def with_background(
    chosen: Chosen, boxes: Sequence[Boxes], shown: Sequence[NDArray[np.float32]], size: Size, seed: int
) -> Chosen:
    """The same with boxes of background, a further class: as many as the mean of the other classes, at most one an
    image (**our choice**). Each has the sides of one of the chosen objects and lies where it overlaps no box of its
    image, ignored ones among them, by an IoU of 0.1 or more; an image without such a place in 20 draws has none."""
    random, number = np.random.default_rng(seed), int(max((b.classes.max(initial=-1) for b in boxes), default=-1)) + 1
    sides = np.concatenate([one[:, 2:] - one[:, :2] for one in chosen.corners])
    wanted = len(chosen.labels) // max(1, len(np.unique(chosen.labels)))
    places = set(random.permutation(len(chosen.images))[:wanted].tolist())
    corners, labels = list(chosen.corners), np.split(chosen.labels, np.cumsum([len(c) for c in chosen.corners])[:-1])
    for place in sorted(places):
        extra = _background(random, sides, shown[chosen.images[place]], size)
        if extra is not None:
            corners[place] = np.concatenate([corners[place], extra])
            labels[place] = np.append(labels[place], number)
    return Chosen(chosen.images, tuple(corners), np.concatenate(labels), chosen.left_out)


def _background(
    random: np.random.Generator, sides: NDArray[np.float32], others: NDArray[np.float32], size: Size
) -> NDArray[np.float32] | None:
    """(1, 4), or None where there is no place."""
    for _ in range(TRIES):
        side = np.minimum(sides[random.integers(len(sides))], [size[1], size[0]])
        low = random.uniform(0, 1, 2) * (np.array([size[1], size[0]]) - side)
        found = np.concatenate([low, low + side]).astype(np.float32)[None]
        if float(iou(torch.from_numpy(found), torch.from_numpy(others)).max() if len(others) else 0) < CLEAR:
            return found
    return None


def areas_of(corners: NDArray[np.float32]) -> NDArray[np.float64]:
    """(m,) of boxes (m, 4)."""
    sides: NDArray[np.float64] = (corners[:, 2:] - corners[:, :2]).astype(np.float64)
    return sides[:, 0] * sides[:, 1]


def cells_of(shapes: Iterable[tuple[str, tuple[int, ...]]], levels: Levels, size: Size) -> dict[str, float]:
    """By layer, the square pixels of the input of `size` that one of its cells covers; of a pyramid one of its finest
    level. `shapes`: names and shapes of the layers."""
    return {name: size[0] * size[1] / _cells(Layout(shape), levels, size) for name, shape in shapes}


def _cells(layout: Layout, levels: Levels, size: Size) -> int:
    if not layout.is_map and layout.tokens == levels.points:
        return levels.sizes[0][0] * levels.sizes[0][1]
    if layout.is_map:
        return layout.tokens
    height, width = grid_of(layout.tokens, size)
    return height * width


@dataclass(frozen=True)
class Covering:
    """`counted`: by layer that not every box covers a cell of, which boxes (m,) do; `left_out`: by layer, how many do
    not; `on_all`: layers that are scored on all boxes all the same."""

    counted: dict[str, Tensor]
    left_out: dict[str, int]
    on_all: list[str]


def covering(areas: NDArray[np.float64], labels: NDArray[np.int64], cells: Mapping[str, float]) -> Covering:
    """Which boxes, of `areas` (m,) in square pixels of the input and classes `labels` (m,), count in which layer.
    `cells`: square pixels of a layer's cell."""
    large = {name: areas >= cell for name, cell in cells.items()}
    on_all = [name for name, flags in large.items() if (np.bincount(labels[flags]) >= LEAST).sum() < LEAST]
    counted = {name: torch.from_numpy(flags) for name, flags in large.items() if not flags.all() and name not in on_all}
    return Covering(counted, {name: int((~flags).sum()) for name, flags in large.items()}, on_all)
