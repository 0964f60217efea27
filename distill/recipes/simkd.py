"""The student's backbone learns to feed the teacher's classifier: feature MSE through a three-layer projector."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from torch import Tensor

from distill import losses
from distill.errors import InvalidConfig
from distill.parameters import validated
from distill.recipes._base import Setup
from distill.recipes._features import DetachedHead
from distill.recipes._guarantee import check_nothing_bypasses
from distill.recipes._layout import CommonResolution, Layout
from distill.recipes._pairs import check_positions, compared_rows
from distill.recipes._projectors import resize, three_layers
from distill.recipes._schema import FEATURE_LOSS, FEATURE_WEIGHT, GRID, HEAD_WEIGHT
from distill.recipes._tail import Tail

PARAMETERS: dict[str, dict[str, Any]] = {**FEATURE_LOSS, **FEATURE_WEIGHT, **HEAD_WEIGHT, **GRID}


class SimKD(DetachedHead):
    """L = feature_weight * mean (proj(pool(F_s)) - pool(F_t))^2 + head_weight * CE(head(stop_gradient(F_s)), y).

    `feature_loss` may replace the MSE; the projector stays, since the teacher's layers stand on it.
    Only the deepest pair of the selection is used (METHODS section 3). As published, the deployed network is the
    student's backbone + projector + the teacher's layers after the pair: `composite_logits` gives its logits. **Our
    choice**: the exported network is the plain student, so its own head learns beside, by cross-entropy on the
    detached feature, and no cross-entropy reaches the backbone.
    """

    per_token: ClassVar[bool] = False
    labels_teach_head: ClassVar[bool] = True
    reads_logits: ClassVar[bool] = False  # `composite_logits` does, and no training step calls it

    @validated(PARAMETERS)
    def __init__(
        self,
        setup: Setup,
        feature_loss: str = "mse",
        feature_weight: float = 1.0,
        head_weight: float = 1.0,
        grid: int = 2,
    ) -> None:
        super().__init__(_deepest(setup))
        self.feature_weight, self.head_weight = feature_weight, head_weight
        self._student_layout, self._teacher_layout = Layout(setup.student_shapes[-1]), Layout(setup.teacher_shapes[-1])
        self._common = CommonResolution(self._student_layout, self._teacher_layout)
        channels = self._student_layout.channels, self._teacher_layout.channels
        self.projector = three_layers(*channels, maps=self._common.maps)
        self.loss, self.grid = losses.get(feature_loss)(), grid
        check_positions(self.loss, self._common)
        self._teacher_example = setup.teacher_example
        self._tail: list[Tail] = []  # built on first use; a list, so that its shadow is no submodule
        check_nothing_bypasses(_deepest(setup))

    def targets(self, teacher_input: Any) -> dict[str, Tensor]:
        features, _ = self._teacher_pass(teacher_input, logits=False)
        return {"feature_0": self._common.teacher(features[0])}

    def forward(self, student_input: Any, labels: Tensor, targets: dict[str, Tensor]) -> dict[str, Tensor]:
        features, logits = self._student_pass(student_input)
        student, teacher = self._common.match(self._common.student(features[0]), targets["feature_0"])
        feature = self._compare(self.projector(student), teacher)
        compared = self.answer.compare(logits, labels)
        head = self.answer.loss(compared)
        loss = self.feature_weight * feature + self.head_weight * head
        return self.parts(loss, compared, feature=feature, **{self.answer.loss_name: head})

    def _compare(self, projected: Tensor, teacher: Tensor) -> Tensor:
        loss: Tensor = self.loss(*compared_rows(self.loss, projected, teacher, self.grid))
        return loss

    def composite_logits(self, student_input: Any) -> Tensor:
        """(n, C) logits of student backbone + projector + teacher's own remaining layers; mode and gradient are the
        caller's. Raises `InvalidConfig` without a `teacher_example`, or where the teacher cannot be run from there."""
        features, _ = self._student_pass(student_input)
        projected = self.projector(self._common.student(features[0]))
        own = Layout(tuple(projected.shape[1:]), channels_first=self._common.maps)
        return self._teacher_tail()(self._teacher_layout.restore(resize(projected, own, self._teacher_layout)))

    def _teacher_tail(self) -> Tail:
        if self._teacher_example is None:
            raise InvalidConfig(
                "The composite network needs a teacher example.", "Set `teacher_example` in the set-up."
            )
        if not self._tail:
            self._tail.append(Tail(self._frozen(), self.teacher_layers[-1], self._teacher_example))
        return self._tail[0]


def _deepest(setup: Setup) -> Setup:
    return replace(
        setup,
        student_layers=setup.student_layers[-1:],
        teacher_layers=setup.teacher_layers[-1:],
        student_shapes=setup.student_shapes[-1:],
        teacher_shapes=setup.teacher_shapes[-1:],
    )


ENTRY = SimKD
