"""The student's features shall tell the teacher's: a Gaussian of learnt variance around a regression, plus labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill.parameters import validated
from distill.recipe_parts.base import Setup
from distill.recipe_parts.labelled import LabelledFeatures
from distill.recipe_parts.layout import CommonResolution
from distill.recipe_parts.schema import LABEL_WEIGHT

PARAMETERS: dict[str, dict[str, Any]] = {
    "information_weight": {
        "type": "number",
        "minimum": 0,
        "default": 1.0,
        "description": "Weight of the teacher features' negative log-likelihood.",
    },
    "initial_variance": {
        "type": "number",
        "exclusiveMinimum": 0.001,
        "maximum": 1000,
        "default": 5.0,
        "description": "Variance of every channel before training, in squared units of the teacher's features.",
    },
    **LABEL_WEIGHT,
}
EPSILON = 1e-5


class VID(LabelledFeatures):
    """L = cross_entropy_weight * CE + information_weight * sum over pairs mean ((F_t - m(F_s))^2 / v + ln v) / 2:
    variational information distillation (Ahn et al., CVPR 2019, arXiv 1904.05835, equations 5 and 6).

    The term is a Gaussian's negative log-likelihood without its constant, in nats a value, and so a bound of the
    information between both features; it may be negative. m: 1x1 convolutions c_s, c_t, c_t, c_t without biases, ReLU
    between; v = ln(1 + exp(a_c)) + 1e-5 for each of the teacher's channels, a_c learnt. Maps meet at the smaller size.

    Defaults: weight 1, initial variance 5 and the sum over layers as in HobbitLong/RepDistiller (`distiller_zoo/
    VID.py`, which names ssahn0215/variational-information-distillation its source; `helper/loops.py`).
    **Our choice**: tokens, and features without positions, have an m of linear maps and meet at the smaller count.
    """

    term_name: ClassVar[str] = "information"
    several_teachers: ClassVar[bool] = True

    @validated(PARAMETERS)
    def __init__(
        self,
        setup: Setup,
        information_weight: float = 1.0,
        initial_variance: float = 5.0,
        cross_entropy_weight: float = 1.0,
    ) -> None:
        super().__init__(setup, information_weight, cross_entropy_weight)
        self.gaussians = nn.ModuleList(Gaussian(resolution, initial_variance) for resolution in self.resolutions)

    def term(self, features: Sequence[Tensor], kept: Sequence[Tensor], targets: dict[str, Tensor]) -> Tensor:
        pairs = self.pooled(features, kept)
        return self.sum_of([gaussian(s, t) for gaussian, (s, t) in zip(self.gaussians, pairs, strict=True)])


class Gaussian(nn.Module):
    """Mean over all values of -ln N(teacher; m(student), v) - ln(2 pi) / 2."""

    def __init__(self, resolution: CommonResolution, variance: float) -> None:
        super().__init__()
        self.maps = resolution.maps
        c_s, c_t = resolution.student_layout.channels, resolution.teacher_layout.channels
        self.mean = nn.Sequential(
            self._layer(c_s, c_t), nn.ReLU(), self._layer(c_t, c_t), nn.ReLU(), self._layer(c_t, c_t)
        )
        self.log_scale = nn.Parameter(torch.full((c_t,), math.log(math.expm1(variance - EPSILON))))

    def _layer(self, c_in: int, c_out: int) -> nn.Module:
        return nn.Conv2d(c_in, c_out, 1, bias=False) if self.maps else nn.Linear(c_in, c_out, bias=False)

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        variance = F.softplus(self.log_scale.float()) + EPSILON
        variance = variance[:, None, None] if self.maps else variance
        error = (self.mean(student).float() - teacher.float()).square()
        likelihood: Tensor = 0.5 * (error / variance + variance.log()).mean()
        return likelihood


ENTRY = VID
