"""Classic distillation: cross-entropy plus the teacher's softened class probabilities."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from distill.objectives.logits import soft_divergence
from distill.parameters import validated
from distill.recipes._base import Recipe, Setup
from distill.recipes._networks import run_logits
from distill.recipes._schema import LABEL_WEIGHT, LOGIT_WEIGHT, TEMPERATURE

PARAMETERS: dict[str, dict[str, Any]] = {
    **TEMPERATURE,
    **LOGIT_WEIGHT,
    **LABEL_WEIGHT,
    "direction": {
        "type": "string",
        "enum": ["forward", "reverse"],
        "default": "forward",
        "description": "KL(teacher || student), or reverse: KL(student || teacher), which seeks one mode.",
    },
}


class Logit(Recipe):
    """L = cross_entropy_weight * CE + logit_weight * T^2 KL(teacher || student), METHODS section 3. No layers.

    For networks that predict tokens both terms are means over the answers' tokens (token-level KL)."""

    needs_layers: ClassVar[bool] = False

    @validated(PARAMETERS)
    def __init__(
        self,
        setup: Setup,
        temperature: float = 4.0,
        logit_weight: float = 1.0,
        cross_entropy_weight: float = 1.0,
        direction: str = "forward",
    ) -> None:
        super().__init__(setup)
        self.temperature, self.logit_weight = temperature, logit_weight
        self.cross_entropy_weight, self.reverse = cross_entropy_weight, direction == "reverse"

    @torch.no_grad()
    def targets(self, teacher_input: Any) -> dict[str, Tensor]:
        assert self.teacher is not None
        return {"logits": run_logits(self.teacher, teacher_input)}

    def divergence(self, student: Tensor, teacher: Tensor) -> Tensor:
        """The distillation term on logits (n, C)."""
        return soft_divergence(student, teacher, self.temperature, self.reverse)

    def forward(self, student_input: Any, labels: Tensor, targets: dict[str, Tensor]) -> dict[str, Tensor]:
        compared = self.answer.compare(run_logits(self.student, student_input), labels, targets)
        own, kl = self.answer.loss(compared), self.answer.divergence(compared, self.divergence)
        loss = self.cross_entropy_weight * own + self.logit_weight * kl
        return self.parts(loss, compared, **{self.answer.loss_name: own}, logit=kl)


ENTRY = Logit
