"""Train the backbone on the teacher's features alone; the labels train only the head (the main recipe)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor

from distill.objectives.logits import cross_entropy
from distill.parameters import validated
from distill.recipes._base import Setup
from distill.recipes._features import DetachedHead
from distill.recipes._guarantee import check_nothing_bypasses
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
    "head_weight": {"type": "number", "minimum": 0, "default": 1.0, "description": "Weight of the head's CE."},
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


class FeatureOnly(DetachedHead):
    """L = feature_weight * L_feat + head_weight * CE(head(stop_gradient(F_s^last)), y), METHODS section 2 [A].

    L_feat = mean over pairs of loss(proj(pool(F_s)), pool(F_t)). No cross-entropy reaches a parameter at or before
    the deepest distilled student layer; what stands after it learns from the cross-entropy alone. With an example
    input at hand the constructor proves that, by gradients, and raises `InvalidConfig` where a connection passes the
    chosen layer by (inside a dense block).
    """

    labels_teach_head: ClassVar[bool] = True

    @validated(PARAMETERS)
    def __init__(
        self,
        setup: Setup,
        feature_loss: str = "mse",
        feature_weight: float = 1.0,
        head_weight: float = 1.0,
        grid: int = 2,
        normalise: bool = False,
        layer_weights: Sequence[float] | None = None,
        extra_loss: str | None = None,
        extra_weight: float = 1.0,
    ) -> None:
        super().__init__(setup)
        self.feature_weight, self.head_weight = feature_weight, head_weight
        self.features = FeaturePairs(
            setup, feature_loss, grid, normalise, layer_weights, extra=extra_loss, extra_weight=extra_weight
        )
        check_nothing_bypasses(setup)

    def targets(self, teacher_input: Any) -> dict[str, Tensor]:
        features, _ = self._teacher_pass(teacher_input, logits=False)
        return self._feature_targets(self.features, features)

    def forward(self, student_input: Any, labels: Tensor, targets: dict[str, Tensor]) -> dict[str, Tensor]:
        features, logits = self._student_pass(student_input)
        feature = self._feature_term(self.features, features, targets, student_input, labels)
        logits, labels, _ = answered(logits, labels)
        head = cross_entropy(logits, labels)
        loss = self.feature_weight * feature + self.head_weight * head
        return {"loss": loss, "feature": feature.detach(), "cross_entropy": head.detach(), "logits": logits.detach()}


ENTRY = FeatureOnly
