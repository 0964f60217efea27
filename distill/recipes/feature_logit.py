"""Standard feature distillation: features, labels and the teacher's logits all train the whole student."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from distill.objectives.logits import cross_entropy, soft_divergence
from distill.parameters import validated
from distill.recipes._base import Setup
from distill.recipes._features import PairedFeatures
from distill.recipes._networks import answered
from distill.recipes._pairs import FeaturePairs

PARAMETERS: dict[str, dict[str, Any]] = {
    "feature_loss": {
        "type": "string",
        "default": "mse",
        "x-registry": "losses",
        "description": "Feature loss by name: mse (projected), procrustes, gram, cka.",
    },
    "feature_weight": {"type": "number", "minimum": 0, "default": 1.0, "description": "Weight of the feature term."},
    "cross_entropy_weight": {
        "type": "number",
        "minimum": 0,
        "default": 1.0,
        "description": "Weight of the labels' CE.",
    },
    "kl": {"type": "boolean", "default": True, "description": "Distil the teacher's logits too."},
    "logit_weight": {"type": "number", "minimum": 0, "default": 1.0, "description": "Weight of T^2 KL, if kl is on."},
    "temperature": {"type": "number", "exclusiveMinimum": 0, "default": 4.0, "description": "T of the softened KL."},
    "grid": {
        "type": "integer",
        "minimum": 1,
        "maximum": 64,
        "default": 2,
        "description": "Losses without a projector compare features pooled to at most grid x grid positions.",
    },
    "normalise": {
        "type": "boolean",
        "default": False,
        "description": "Divide each pair by its teacher feature's root mean square, so that no scale dominates.",
    },
    "layer_weights": {
        "type": ["array", "null"],
        "items": {"type": "number", "minimum": 0},
        "default": None,
        "description": "One weight a pair, in depth order; null: all 1.",
    },
    "extra_loss": {
        "type": ["string", "null"],
        "default": None,
        "x-registry": "losses",
        "description": "A second feature loss that joins the first; null: none.",
    },
    "extra_weight": {"type": "number", "minimum": 0, "default": 1.0, "description": "Weight of the second loss."},
}


class FeatureLogit(PairedFeatures):
    """L = feature_weight * L_feat + cross_entropy_weight * CE + logit_weight * T^2 KL, METHODS section 3.

    Nothing is detached: every term reaches the backbone. With `kl` off the teacher stops at the deepest layer.
    """

    @validated(PARAMETERS)
    def __init__(
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
    ) -> None:
        super().__init__(setup)
        self.feature_weight, self.cross_entropy_weight = feature_weight, cross_entropy_weight
        self.kl, self.logit_weight, self.temperature = kl, logit_weight, temperature
        self.features = FeaturePairs(
            setup, feature_loss, grid, normalise, layer_weights, extra=extra_loss, extra_weight=extra_weight
        )

    def targets(self, teacher_input: Any) -> dict[str, Tensor]:
        features, logits = self._teacher_pass(teacher_input, logits=self.kl)
        return self._feature_targets(self.features, features) | logits

    def forward(self, student_input: Any, labels: Tensor, targets: dict[str, Tensor]) -> dict[str, Tensor]:
        features, logits = self._student_pass(student_input)
        feature = self._feature_term(self.features, features, targets, student_input, labels)
        logits, labels, targets = answered(logits, labels, targets)
        ce = cross_entropy(logits, labels)
        parts = {"feature": feature.detach(), "cross_entropy": ce.detach(), "logits": logits.detach()}
        loss = self.feature_weight * feature + self.cross_entropy_weight * ce
        if self.kl:
            kl = soft_divergence(logits, targets["logits"], self.temperature)
            loss, parts["logit"] = loss + self.logit_weight * kl, kl.detach()
        return {"loss": loss} | parts


ENTRY = FeatureLogit
