"""Logit distillation on per-sample z-scores, so that the student need not match the teacher's logit scale."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from distill.objectives.logits import soft_divergence, standardise
from distill.parameters import validated
from distill.recipe_parts.base import Setup
from distill.recipe_parts.schema import LABEL_WEIGHT
from distill.recipes.logit import Logit

PARAMETERS: dict[str, dict[str, Any]] = {
    "temperature": {
        "type": "number",
        "exclusiveMinimum": 0,
        "default": 2.0,
        "description": "T, in standard deviations.",
    },
    "logit_weight": {
        "type": "number",
        "minimum": 0,
        "default": 9.0,
        "description": "Weight of T^2 KL of the z-scores.",
    },
    **LABEL_WEIGHT,
}


class LogitStandardized(Logit):
    """L = cross_entropy_weight * CE + logit_weight * T^2 KL(z(teacher) || z(student)), docs/methods.md, section 3.

    z: each sample's logits minus their mean, divided by their standard deviation over the classes; shift and scale of
    either network's logits change nothing. **Our choices**: T = 2 and weight 9, because z-scores differ far less than
    raw logits do; the cross-entropy sees the raw logits.
    """

    one_class: ClassVar[bool] = True

    @validated(PARAMETERS)
    def __init__(
        self, setup: Setup, temperature: float = 2.0, logit_weight: float = 9.0, cross_entropy_weight: float = 1.0
    ) -> None:
        super().__init__(
            setup, temperature=temperature, logit_weight=logit_weight, cross_entropy_weight=cross_entropy_weight
        )

    def divergence(self, student: Tensor, teacher: Tensor) -> Tensor:
        return soft_divergence(standardise(student), standardise(teacher), self.temperature)


ENTRY = LogitStandardized
