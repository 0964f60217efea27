"""The student shall look where the teacher looks: maps of activity over positions, plus labels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor

from distill.errors import InvalidConfig
from distill.objectives.full_precision import without_autocast
from distill.parameters import validated
from distill.recipe_parts.base import Setup, Shape
from distill.recipe_parts.labelled import LabelledFeatures
from distill.recipe_parts.layout import CommonResolution, Layout
from distill.recipe_parts.schema import LABEL_WEIGHT

PARAMETERS: dict[str, dict[str, Any]] = {
    "attention_weight": {
        "type": "number",
        "minimum": 0,
        "default": 1000.0,
        "description": "Weight of the gap between the attention maps.",
    },
    "power": {
        "type": "integer",
        "minimum": 1,
        "maximum": 8,
        "default": 2,
        "description": "p: activations are raised to it before they are averaged over the channels.",
    },
    **LABEL_WEIGHT,
}


class AttentionTransfer(LabelledFeatures):
    """L = cross_entropy_weight * CE + attention_weight * sum over pairs mean (Q(F_s) - Q(F_t))^2: activation-based
    attention transfer (Zagoruyko and Komodakis, ICLR 2017, arXiv 1612.03928, equation 2).

    Q(F) (n, positions): mean over the channels of |F|^p, divided by its norm over the positions. The mean runs over
    samples and positions, in [0, 4 / positions]; no projector, any numbers of channels; scale changes nothing. Maps
    meet at the smaller size, tokens at the smaller count. A pair with one position has no map: its Q is 1 on both sides
    and its gap 0. Raises `InvalidConfig` where no pair has more, as features of texts, which are rows.

    Defaults: p 2 and weight 1000, as in HobbitLong/RepDistiller (`distiller_zoo/AT.py`,
    `scripts/run_cifar_distill.sh`), which sums over the stages, as here and in szagoruyko/attention-transfer.
    **Our choices**: |F| where the benchmark raises F itself, which differs for odd p alone; class tokens are positions.
    """

    needs_maps: ClassVar[bool] = True
    several_teachers: ClassVar[bool] = True
    term_name: ClassVar[str] = "attention"

    @validated(PARAMETERS)
    def __init__(
        self,
        setup: Setup,
        attention_weight: float = 1000.0,
        power: int = 2,
        cross_entropy_weight: float = 1.0,
    ) -> None:
        super().__init__(setup, attention_weight, cross_entropy_weight)
        self.power = power
        self.check_pairs({}, setup.student_shapes, setup.teacher_shapes)

    @classmethod
    def check_pairs(
        cls, parameters: Mapping[str, Any], student: Sequence[Shape], teacher: Sequence[Shape] | None
    ) -> None:
        pairs = zip(student, student if teacher is None else teacher, strict=True)
        if all(math.prod(CommonResolution(Layout(s), Layout(t)).size) == 1 for s, t in pairs):
            raise InvalidConfig(
                "attention_transfer compares the positions of maps, and every pair of layers has but one.",
                "Choose layers that keep height and width (name them, or use another selection), or another recipe.",
                {"student": [list(s) for s in student], "teacher": [list(s) for s in teacher or ()]},
            )

    def term(self, features: Sequence[Tensor], kept: Sequence[Tensor], targets: dict[str, Tensor]) -> Tensor:
        pairs = self.pooled(features, kept)
        return self.sum_of([attention_gap(s, t, self.power) for s, t in pairs])


def attention_gap(student: Tensor, teacher: Tensor, power: int = 2) -> Tensor:
    """mean (Q(student) - Q(teacher))^2 of maps (n, c, h, w) or tokens (n, t, c), any c, in fp32."""
    with without_autocast(student.device):
        return (attention_map(student, power) - attention_map(teacher, power)).square().mean()


def attention_map(feature: Tensor, power: int = 2) -> Tensor:
    """(n, positions), each row of norm 1, of a map (n, c, h, w) or tokens (n, t, c)."""
    feature = feature.float()
    strength = feature.abs() if power % 2 else feature
    return F.normalize(strength.pow(power).mean(1 if feature.dim() == 4 else 2).flatten(1))


ENTRY = AttentionTransfer
