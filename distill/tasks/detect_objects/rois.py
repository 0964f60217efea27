"""The rows of a Q curve for boxes: one object, read off a layer's map.

**Our choice** (arXiv 2511.14981 leaves detection open; TLogME, arXiv 2306.15306, reads ground-truth boxes so to score
whole detectors): a sample of the Q metric is an object's box. Its row is the layer's map under the box by RoI-align (He
et al. 2017, arXiv 1703.06870), of `cells` x `cells` cells that are flattened; its group is the class. A pyramid's
feature holds several maps: each box is read off the level that FCOS has answer for it.

Boxes smaller than one cell of the detector's finest level are left out of every layer, and counted. In a coarser layer
a box may lie within one cell: RoI-align reads the map there between the cells' centres, and the low Q that follows is
the layer's own. `below_a_cell` counts such boxes by layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from distill.data import stratify
from distill.layers import FeatureView
from distill.models.points import Points, unpack
from distill.recipe_parts.layout import Layout
from distill.tasks._images.maps import Size, as_map, grid_of
from distill.tasks.detect_objects.assignment import FARTHEST
from distill.tasks.detect_objects.boxes import Boxes

SAMPLES = 2
"""Points a side at which RoI-align reads the map within each of its cells."""


@dataclass(frozen=True)
class Levels:
    """`sizes` (h, w) and `strides` of a detector's levels, the finest first."""

    sizes: tuple[Size, ...]
    strides: tuple[int, ...]

    @classmethod
    def of(cls, rows: Tensor) -> Levels:
        """From the rows (n, P, C + 8) that the network gives of any input."""
        points = Points.of(rows[0])
        sizes, strides = [], []
        for stride in torch.unique(points.strides).tolist():
            mine = points.places[points.strides == stride]
            width = len(torch.unique(mine[:, 0]))
            sizes.append((len(mine) // width, width))
            strides.append(int(stride))
        return cls(tuple(sizes), tuple(strides))

    @property
    def points(self) -> int:
        return sum(height * width for height, width in self.sizes)

    def of_boxes(self, corners: Tensor) -> Tensor:
        """(m,) positions of the level that answers for each box (m, 4)."""
        reach = (corners[:, 2:] - corners[:, :2]).amax(1) / 2
        borders = torch.tensor([FARTHEST * stride for stride in self.strides[:-1]], device=corners.device)
        return torch.bucketize(reach, borders)


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
    """Boxes for a Q curve. `images` (i,): positions of the images that hold them, ascending; `kept`: of each such image
    a bool for each of its boxes; `labels` (m,): the class of each, by image and within it by box; `left_out`: how many
    were smaller than a cell."""

    images: NDArray[np.int64]
    kept: tuple[NDArray[np.bool_], ...]
    labels: NDArray[np.int64]
    left_out: int


def choose(boxes: Sequence[Boxes], shown: Sequence[NDArray[np.float32]], stride: int, count: int, seed: int) -> Chosen:
    """At most `count` objects, class-stratified, of those that cover a cell of `stride` pixels. `shown`: of each image
    the corners (m, 4) of its boxes in pixels of the input. Ignored boxes are none. Raises `InvalidConfig` where `count`
    is less than the classes."""
    large = [(areas_of(one) >= stride**2) & ~mine.ignored for one, mine in zip(shown, boxes, strict=True)]
    image = np.repeat(np.arange(len(boxes)), [int(one.sum()) for one in large])
    number = np.concatenate([np.zeros(0, np.int64), *(b.classes[k] for b, k in zip(boxes, large, strict=True))])
    taken = np.zeros(len(number), np.bool_)
    if len(number):
        taken[stratify.sample(number, count, seed)] = True
    images = np.unique(image[taken]).astype(np.int64)
    kept = []
    for i in images:
        flags = large[i].copy()
        flags[large[i]] = taken[image == i]
        kept.append(flags)
    small = sum(int((~one.ignored & ~flags).sum()) for one, flags in zip(boxes, large, strict=True))
    return Chosen(images, tuple(kept), number[taken], small)


def areas_of(corners: NDArray[np.float32]) -> NDArray[np.float64]:
    """(m,) of boxes (m, 4)."""
    sides: NDArray[np.float64] = (corners[:, 2:] - corners[:, :2]).astype(np.float64)
    return sides[:, 0] * sides[:, 1]


def below_a_cell(
    areas: NDArray[np.float64], shapes: Iterable[tuple[str, tuple[int, ...]]], levels: Levels, size: Size
) -> dict[str, int]:
    """By layer, how many of the boxes of these areas, square pixels of the input, are smaller than one of its cells. Of
    a pyramid its finest level counts. `shapes`: names and shapes of the layers."""
    found = {}
    for name, shape in shapes:
        layout = Layout(shape)
        if not layout.is_map and layout.tokens == levels.points:
            cells = levels.sizes[0][0] * levels.sizes[0][1]
        elif layout.is_map:
            cells = layout.tokens
        else:
            height, width = grid_of(layout.tokens, size)
            cells = height * width
        found[name] = int((areas * cells < size[0] * size[1]).sum())
    return found
