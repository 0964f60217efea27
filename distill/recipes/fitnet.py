"""A hint in the middle: the student predicts one feature of the teacher's through a regressor, plus labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from distill import losses
from distill.errors import InvalidConfig
from distill.parameters import validated
from distill.recipe_parts.base import Setup
from distill.recipe_parts.labelled import LabelledFeatures
from distill.recipe_parts.layout import CommonResolution, Layout
from distill.recipe_parts.pairs import rows
from distill.recipe_parts.schema import LABEL_WEIGHT

PARAMETERS: dict[str, dict[str, Any]] = {
    "hint_weight": {"type": "number", "minimum": 0, "default": 100.0, "description": "Weight of the hint's error."},
    "hint": {
        "type": ["integer", "null"],
        "minimum": 0,
        "default": None,
        "x-below": "layers",
        "description": "The pair of layers that is the hint, counted from 0 in depth order; null: the middle one.",
    },
    **LABEL_WEIGHT,
}


class FitNet(LabelledFeatures):
    """L = cross_entropy_weight * CE + hint_weight * mean (r(F_s) - F_t)^2 of one pair: FitNets' hint (Romero et al.,
    ICLR 2015, arXiv 1412.6550, equation 3).

    r: a convolution of the student's map to the teacher's size, then BN and ReLU: 1x1 where the sizes are equal, 3x3 of
    stride 2 where the student's is twice as large, 4x4 transposed of stride 2 where it is half as large. The term is
    `mse` through another projector: `feature_only` and `feature_logit` have it at every pair. >= 0.

    Defaults: weight 100, the middle layer, and both terms at once, as in HobbitLong/RepDistiller (`ConvReg` of
    `models/util.py`, `scripts/run_cifar_distill.sh`); the paper trains up to the hint first, and then by logits.
    **Our choices**: for other sizes both maps are pooled to the smaller, and r is 1x1, where the benchmark's kernel is
    as large as the difference; the ReLU is left out where the teacher's feature is negative anywhere on
    `teacher_example`; tokens have a linear r; of an even number of pairs the hint is the earlier of the middle ones.
    Raises `InvalidConfig` for a hint that is no pair.
    """

    term_name: ClassVar[str] = "hint"

    @validated(PARAMETERS)
    def __init__(
        self, setup: Setup, hint_weight: float = 100.0, hint: int | None = None, cross_entropy_weight: float = 1.0
    ) -> None:
        chosen = setup.only(_pair(setup, hint))
        super().__init__(chosen, hint_weight, cross_entropy_weight)
        self.regressor = Regressor(self.resolutions[0], self._rectified_teacher(setup.teacher_example))
        self.loss = losses.get("mse")()

    def kept(self, features: Sequence[Tensor]) -> list[Tensor]:
        return [self.regressor.target(feature) for feature in features]

    def term(self, features: Sequence[Tensor], kept: Sequence[Tensor], targets: dict[str, Tensor]) -> Tensor:
        pair = self.resolutions[0].match(self.regressor(features[0]), kept[0])
        term: Tensor = self.loss(*rows(*pair))
        return term


def _pair(setup: Setup, hint: int | None) -> int:
    count = len(setup.student_layers)
    if hint is None:
        return max(count - 1, 0) // 2
    if hint >= count:
        raise InvalidConfig(
            f"hint = {hint} is no pair of layers: there are {count}, counted from 0.",
            f"Give a number below {count}, or null for the middle pair.",
            {"parameter": "hint", "pairs": count},
        )
    return hint


class Regressor(nn.Module):
    """A student feature (n, *student) as the teacher's, in canonical form and, where it can, at its resolution."""

    def __init__(self, resolution: CommonResolution, rectified: bool) -> None:
        super().__init__()
        self.resolution = resolution
        student, teacher = resolution.student_layout, resolution.teacher_layout
        if not resolution.maps:
            self.layers: nn.Module = nn.Linear(student.channels, teacher.channels)
            self.whole = False
            return
        convolution, self.whole = _convolution(student, teacher)
        last = [nn.ReLU()] if rectified else []
        self.layers = nn.Sequential(convolution, nn.BatchNorm2d(teacher.channels), *last)

    def target(self, feature: Tensor) -> Tensor:
        """The teacher's feature, as `forward`'s result is compared with it."""
        layout = self.resolution.teacher_layout
        return layout.canonise(feature) if self.whole else self.resolution.teacher(feature)

    def forward(self, feature: Tensor) -> Tensor:
        layout = self.resolution.student_layout
        given = layout.canonise(feature) if self.whole else self.resolution.student(feature)
        result: Tensor = self.layers(given)
        return result


def _convolution(student: Layout, teacher: Layout) -> tuple[nn.Module, bool]:
    """From the student's map to the teacher's, and whether it changes the size itself."""
    c_s, c_t, (s, t) = student.channels, teacher.channels, (tuple(student.size), tuple(teacher.size))
    if s == tuple(2 * side for side in t):
        return nn.Conv2d(c_s, c_t, 3, stride=2, padding=1), True
    if t == tuple(2 * side for side in s):
        return nn.ConvTranspose2d(c_s, c_t, 4, stride=2, padding=1), True
    return nn.Conv2d(c_s, c_t, 1), False


ENTRY = FitNet
