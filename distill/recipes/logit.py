"""Classic distillation: cross-entropy plus the teacher's softened class probabilities."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from distill.answers import Compared
from distill.errors import InvalidConfig
from distill.losses.channel_wise import ChannelWise
from distill.objectives.logits import soft_divergence
from distill.parameters import validated
from distill.recipe_parts.base import Recipe, Setup
from distill.recipe_parts.networks import run_logits
from distill.recipe_parts.pairs import channel_rows
from distill.recipe_parts.schema import LABEL_WEIGHT, LOGIT_WEIGHT, TEMPERATURE

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
    "logit_loss": {
        "type": "string",
        "enum": ["kl", "channel_wise"],
        "default": "kl",
        "description": "kl: of each answer's classes. channel_wise: of each class's map over positions, for masks.",
    },
}


class Logit(Recipe):
    """L = cross_entropy_weight * CE + logit_weight * T^2 KL(teacher || student), docs/methods.md, section 3. No layers.

    For networks that predict tokens both terms are means over the answers' tokens (token-level KL), for masks over the
    labelled pixels. `logit_loss` `channel_wise` puts in the place of T^2 KL the divergence of each class's map of
    logits over all positions, labelled or not (`distill.losses.channel_wise`; its paper weighs it 3); maps of another
    size are first resized to the student's, bilinearly. Raises `InvalidConfig` for it where logits are no maps.
    """

    needs_layers: ClassVar[bool] = False
    several_teachers: ClassVar[bool] = True

    @validated(PARAMETERS)
    def __init__(
        self,
        setup: Setup,
        temperature: float = 4.0,
        logit_weight: float = 1.0,
        cross_entropy_weight: float = 1.0,
        direction: str = "forward",
        logit_loss: str = "kl",
    ) -> None:
        super().__init__(setup)
        if logit_loss == "channel_wise" and not setup.answer.maps:
            raise InvalidConfig(
                "channel_wise compares maps of logits, and this task's networks give none.",
                "Leave logit_loss out.",
                {"parameter": "logit_loss", "value": logit_loss},
            )
        self.channels = ChannelWise.at(temperature) if logit_loss == "channel_wise" else None
        self.temperature, self.logit_weight = temperature, logit_weight
        self.cross_entropy_weight, self.reverse = cross_entropy_weight, direction == "reverse"

    @torch.no_grad()
    def targets(self, teacher_input: Any) -> dict[str, Tensor]:
        assert self.teacher is not None
        return self.answer.ask(self.teacher, teacher_input)

    def divergence(self, student: Tensor, teacher: Tensor) -> Tensor:
        """The distillation term on logits (n, C)."""
        return soft_divergence(student, teacher, self.temperature, self.reverse)

    def forward(self, student_input: Any, labels: Tensor, targets: dict[str, Tensor]) -> dict[str, Tensor]:
        logits = run_logits(self.student, student_input)
        compared = self.answer.compare(logits, labels, targets)
        own = self.answer.loss(compared)
        kl = self._by_channel(logits, targets["logits"]) if self.channels else self._by_class(compared)
        loss = self.cross_entropy_weight * own + self.logit_weight * kl
        return self.parts(loss, compared, **{self.answer.loss_name: own}, logit=kl)

    def _by_class(self, compared: Compared) -> Tensor:
        return self.answer.divergence(compared, self.divergence)

    def _by_channel(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Of maps (n, C, h, w) and (n, C, h', w')."""
        assert self.channels is not None
        if teacher.shape[-2:] != student.shape[-2:]:
            teacher = F.interpolate(teacher, size=student.shape[-2:], mode="bilinear", align_corners=False)
        term: Tensor = self.channels(channel_rows(student), channel_rows(teacher))
        return term


ENTRY = Logit
