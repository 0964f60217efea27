"""Train the student alone, by the task's own loss on the labels: the honest baseline, and how a teacher is made."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from distill.parameters import validated
from distill.recipe_parts.base import Recipe, Setup
from distill.recipe_parts.networks import run_logits

PARAMETERS: dict[str, dict[str, Any]] = {}


class CrossEntropy(Recipe):
    """L = CE(student(x), y), or what the task has in its place. No teacher, no layers, no parameters."""

    needs_teacher: ClassVar[bool] = False
    needs_layers: ClassVar[bool] = False
    reads_logits: ClassVar[bool] = False
    needs_labels: ClassVar[bool] = True

    @validated(PARAMETERS)
    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)

    def forward(
        self,
        student_input: Any,
        labels: Tensor,
        targets: dict[str, Tensor],
    ) -> dict[str, Tensor]:
        compared = self.answer.compare(run_logits(self.student, student_input), labels)
        loss = self.answer.loss(compared)
        return self.parts(loss, compared, **{self.answer.loss_name: loss})


ENTRY = CrossEntropy
