"""Each of the student's features, joined by those deeper, learns the teacher's at several sizes, plus labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill.parameters import validated
from distill.recipe_parts.base import Setup
from distill.recipe_parts.labelled import LabelledFeatures
from distill.recipe_parts.layout import Layout
from distill.recipe_parts.schema import LABEL_WEIGHT

PARAMETERS: dict[str, dict[str, Any]] = {
    "review_weight": {
        "type": "number",
        "minimum": 0,
        "default": 1.0,
        "description": "Weight of the reviewed features' distance from the teacher's.",
    },
    **LABEL_WEIGHT,
}
WIDEST = 512
LEVELS = (4, 2, 1)


class Review(LabelledFeatures):
    """L = cross_entropy_weight * CE + review_weight * sum over pairs H(R_i, F_t,i): knowledge review (Chen et al., CVPR
    2021, arXiv 2104.09044, equation 6).

    From the deepest pair up: x_i = f(F_s,i), at shallower pairs x_i = a f(F_s,i) + b x_i+1 with x_i+1 brought to the
    size of F_s,i, a and b a sigmoid of both at each position; R_i = g(x_i brought to the teacher's size). f: 1x1
    convolution and BN to the deepest student layer's width, at most 512; g: 3x3 convolution and BN to the teacher's
    channels; sizes change by the nearest neighbour. H: mean squared error, of the maps and of both pooled to 4x4, 2x2
    and 1x1 where that is smaller, weighed 1, 1/2, 1/4, ... and divided by their sum. >= 0, squared feature units.

    Defaults: both weights 1, as in dvlab-research/ReviewKD (`CIFAR-100/train.py`, `model/reviewkd.py`: `ABF`, `hcl`).
    **Our choices**: the term counts in full from the first step, where the authors raise it from 0 over 20 of 240
    epochs: the schedule here warms up the learning rate instead; features are those of the chosen layers, where theirs
    are the teacher's before its last ReLU, and the pooled one. If any layer has no map, all features are tokens, in
    reading order, as maps of width 1.
    """

    needs_maps: ClassVar[bool] = True
    term_name: ClassVar[str] = "review"

    @validated(PARAMETERS)
    def __init__(self, setup: Setup, review_weight: float = 1.0, cross_entropy_weight: float = 1.0) -> None:
        super().__init__(setup, review_weight, cross_entropy_weight)
        self._maps = all(resolution.maps for resolution in self.resolutions)
        students, teachers = ([Layout(s) for s in shapes] for shapes in (setup.student_shapes, setup.teacher_shapes))
        middle, last = min(WIDEST, students[-1].channels), len(students) - 1
        self.fusions = nn.ModuleList(
            Fusion(s.channels, middle, t.channels, i < last)
            for i, (s, t) in enumerate(zip(students, teachers, strict=True))
        )

    def kept(self, features: Sequence[Tensor]) -> list[Tensor]:
        return [self._as_map(r.teacher_layout, f) for r, f in zip(self.resolutions, features, strict=True)]

    def term(self, features: Sequence[Tensor], kept: Sequence[Tensor], targets: dict[str, Tensor]) -> Tensor:
        reviewed: Tensor | None = None
        terms = []
        for i in reversed(range(len(features))):
            student = self._as_map(self.resolutions[i].student_layout, features[i])
            found, reviewed = self.fusions[i](student, reviewed, tuple(kept[i].shape[2:]))
            terms.append(pyramid_gap(found, kept[i]))
        return torch.stack(terms).sum()

    def _as_map(self, layout: Layout, feature: Tensor) -> Tensor:
        return layout.as_map(feature) if self._maps else layout.as_tokens(feature).movedim(-1, 1)[..., None]


class Fusion(nn.Module):
    """Joins a student's map with what was reviewed before."""

    def __init__(self, c_in: int, middle: int, c_out: int, fuse: bool) -> None:
        super().__init__()
        self.inward = nn.Sequential(nn.Conv2d(c_in, middle, 1, bias=False), nn.BatchNorm2d(middle))
        self.outward = nn.Sequential(nn.Conv2d(middle, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out))
        self.attention = nn.Conv2d(2 * middle, 2, 1) if fuse else None
        for convolution in (self.inward[0], self.outward[0]):
            nn.init.kaiming_uniform_(convolution.weight, a=1)  # type: ignore[arg-type]

    def forward(self, feature: Tensor, reviewed: Tensor | None, size: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """(n, c_in, h, w), what was reviewed (n, middle, h', w') and the teacher's size -> (n, c_out, *size), and what
        the next pair reviews, (n, middle, *size)."""
        joined = self.inward(feature)
        if self.attention is not None and reviewed is not None:
            reviewed = _sized(reviewed, tuple(joined.shape[2:]))
            weights = self.attention(torch.cat([joined, reviewed], 1)).sigmoid()
            joined = joined * weights[:, :1] + reviewed * weights[:, 1:]
        joined = _sized(joined, size)
        return self.outward(joined), joined


def pyramid_gap(student: Tensor, teacher: Tensor) -> Tensor:
    """H of two maps (n, c, h, w): a scalar in fp32."""
    student, teacher = student.float(), teacher.float()
    terms, weights = [F.mse_loss(student, teacher)], [1.0]
    height, width = teacher.shape[2:]
    for level in LEVELS:
        if level < height:
            size = (level, min(level, width))
            terms.append(F.mse_loss(F.adaptive_avg_pool2d(student, size), F.adaptive_avg_pool2d(teacher, size)))
            weights.append(weights[-1] / 2)
    return torch.stack([w * term for w, term in zip(weights, terms, strict=True)]).sum() / sum(weights)


def _sized(feature: Tensor, size: tuple[int, ...]) -> Tensor:
    return feature if tuple(feature.shape[2:]) == size else F.interpolate(feature, size=size, mode="nearest")


ENTRY = Review
