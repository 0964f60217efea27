"""Standard feature distillation: features, labels and the teacher's logits all train the whole student."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor

from distill.objectives.logits import soft_divergence
from distill.parameters import validated
from distill.recipe_parts.base import Setup
from distill.recipe_parts.features import PairedFeatures
from distill.recipe_parts.pairs import FeaturePairs
from distill.recipe_parts.schema import (
    FEATURE_LOSS,
    FEATURE_WEIGHT,
    GRID,
    LABEL_WEIGHT,
    LOGIT_WEIGHT,
    PAIRS,
    TEMPERATURE,
)

PARAMETERS: dict[str, dict[str, Any]] = {
    **FEATURE_LOSS,
    **FEATURE_WEIGHT,
    **LABEL_WEIGHT,
    "kl": {"type": "boolean", "default": True, "description": "Distil the teacher's logits too."},
    **LOGIT_WEIGHT,
    **TEMPERATURE,
    **GRID,
    **PAIRS,
}


class FeatureLogit(PairedFeatures):
    """L = feature_weight * L_feat + cross_entropy_weight * CE + logit_weight * T^2 KL, docs/methods.md, section 3.

    Nothing is detached: every term reaches the backbone. With `kl` off the teacher stops at the deepest layer.
    """

    features_alone: ClassVar[dict[str, Any]] = {"kl": False}
    several_teachers: ClassVar[bool] = True

    @validated(PARAMETERS)
    def __init__(  # noqa: PLR0913 - one each of the catalogue's parameters
        self,
        setup: Setup,
        feature_loss: str = "mse",
        feature_weight: float = 1.0,
        cross_entropy_weight: float = 1.0,
        kl: bool = True,
        logit_weight: float = 1.0,
        temperature: float = 4.0,
        grid: int = 2,
        normalise: bool = False,
        layer_weights: Sequence[float] | None = None,
        extra_loss: str | None = None,
        extra_weight: float = 1.0,
        layer_schedule: str = "constant",
    ) -> None:
        super().__init__(setup)
        self.feature_weight, self.cross_entropy_weight = feature_weight, cross_entropy_weight
        self.kl, self.logit_weight, self.temperature = kl, logit_weight, temperature
        self.features = FeaturePairs(
            setup, feature_loss, grid, normalise, layer_weights, extra=extra_loss, extra_weight=extra_weight,
            schedule=layer_schedule,
        )  # fmt: skip

    def at(self, done: float) -> None:
        self.features.at(done)

    def targets(self, teacher_input: Any) -> dict[str, Tensor]:
        features, logits = self._teacher_pass(teacher_input, logits=self.kl)
        return self._feature_targets(self.features, features) | logits

    def forward(self, student_input: Any, labels: Tensor, targets: dict[str, Tensor]) -> dict[str, Tensor]:
        features, logits = self._student_pass(student_input)
        feature = self._feature_term(self.features, features, targets, student_input, labels)
        compared = self.answer.compare(logits, labels, targets)
        own = self.answer.loss(compared)
        terms = {"feature": feature, self.answer.loss_name: own}
        loss = self.feature_weight * feature + self.cross_entropy_weight * own
        if self.kl:
            terms["logit"] = self.answer.divergence(compared, self._divergence)
            loss = loss + self.logit_weight * terms["logit"]
        return self.parts(loss, compared, **terms)

    def _divergence(self, student: Tensor, teacher: Tensor) -> Tensor:
        return soft_divergence(student, teacher, self.temperature)


ENTRY = FeatureLogit
