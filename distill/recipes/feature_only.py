"""Train the backbone on the teacher's features alone; the labels train only the head (the main recipe)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from distill.parameters import validated
from distill.recipe_parts.base import Setup
from distill.recipe_parts.features import DetachedHead
from distill.recipe_parts.guarantee import check_nothing_bypasses
from distill.recipe_parts.pairs import FeaturePairs
from distill.recipe_parts.schema import FEATURE_LOSS, FEATURE_WEIGHT, GRID, HEAD_WEIGHT, PAIRS

PARAMETERS: dict[str, dict[str, Any]] = {**FEATURE_LOSS, **FEATURE_WEIGHT, **HEAD_WEIGHT, **GRID, **PAIRS}


class FeatureOnly(DetachedHead):
    """L = feature_weight * L_feat + head_weight * CE(head(stop_gradient(F_s^last)), y), docs/methods.md, section 2 [A].

    L_feat = mean over pairs of loss(proj(pool(F_s)), pool(F_t)). No cross-entropy reaches a parameter at or before
    the deepest distilled student layer; what stands after it learns from the cross-entropy alone. With an example
    input at hand the constructor proves that, by gradients, and raises `InvalidConfig` where a connection passes the
    chosen layer by (inside a dense block).
    """

    reads_logits: ClassVar[bool] = False
    several_teachers: ClassVar[bool] = True

    @validated(PARAMETERS)
    def __init__(  # noqa: PLR0913 - one each of the catalogue's parameters
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
        layer_schedule: str = "constant",
    ) -> None:
        super().__init__(setup)
        self.feature_weight, self.head_weight = feature_weight, head_weight
        self.features = FeaturePairs(
            setup, feature_loss, grid, normalise, layer_weights, extra=extra_loss, extra_weight=extra_weight,
            schedule=layer_schedule,
        )  # fmt: skip
        self.check_student(setup.student, setup.student_layers, setup.student_example)

    @classmethod
    def check_student(cls, student: nn.Module, layers: Sequence[str], example: Any) -> None:
        check_nothing_bypasses(student, layers, example)

    def at(self, done: float) -> None:
        self.features.at(done)

    def targets(self, teacher_input: Any) -> dict[str, Tensor]:
        features, _ = self._teacher_pass(teacher_input, logits=False)
        return self._feature_targets(self.features, features)

    def forward(self, student_input: Any, labels: Tensor, targets: dict[str, Tensor]) -> dict[str, Tensor]:
        features, logits = self._student_pass(student_input)
        feature = self._feature_term(self.features, features, targets, student_input, labels)
        compared = self.answer.compare(logits, labels)
        head = self.answer.loss(compared)
        loss = self.feature_weight * feature + self.head_weight * head
        return self.parts(loss, compared, feature=feature, **{self.answer.loss_name: head})


ENTRY = FeatureOnly
