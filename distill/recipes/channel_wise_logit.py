"""Each class's map of logits as a distribution over positions, plus labels: distillation for networks of masks."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from distill.losses.channel_wise import ChannelWise
from distill.parameters import validated
from distill.recipes._base import Recipe, Setup
from distill.recipes._networks import run_logits
from distill.recipes._pairs import channel_rows
from distill.recipes._schema import LABEL_WEIGHT, TEMPERATURE

PARAMETERS: dict[str, dict[str, Any]] = {
    "channel_weight": {
        "type": "number",
        "minimum": 0,
        "default": 3.0,
        "description": "Weight of the channel-wise term; the paper's, for logits.",
    },
    **LABEL_WEIGHT,
    **TEMPERATURE,
}


class ChannelWiseLogit(Recipe):
    """L = cross_entropy_weight * CE + channel_weight * L_cw(logits), Shu et al. 2021 (arXiv 2011.13256). No layers.

    L_cw: see `distill.losses.channel_wise`; a channel is a class, its map the logits over all positions, also those
    without a label. Logits (n, C, h, w) of another size are first resized to the student's, bilinearly. As a feature
    loss the same is `feature_loss: channel_wise`.
    """

    needs_layers: ClassVar[bool] = False
    needs_maps: ClassVar[bool] = True

    @validated(PARAMETERS)
    def __init__(
        self, setup: Setup, channel_weight: float = 3.0, cross_entropy_weight: float = 1.0, temperature: float = 4.0
    ) -> None:
        super().__init__(setup)
        self.channel_weight, self.cross_entropy_weight = channel_weight, cross_entropy_weight
        self.distance = ChannelWise(temperature)

    @torch.no_grad()
    def targets(self, teacher_input: Any) -> dict[str, Tensor]:
        assert self.teacher is not None
        return {"logits": run_logits(self.teacher, teacher_input)}

    def forward(self, student_input: Any, labels: Tensor, targets: dict[str, Tensor]) -> dict[str, Tensor]:
        logits, taught = run_logits(self.student, student_input), targets["logits"]
        compared = self.answer.compare(logits, labels)
        if taught.shape[-2:] != logits.shape[-2:]:
            taught = F.interpolate(taught, size=logits.shape[-2:], mode="bilinear", align_corners=False)
        own, channel = self.answer.loss(compared), self.distance(channel_rows(logits), channel_rows(taught))
        loss = self.cross_entropy_weight * own + self.channel_weight * channel
        return self.parts(loss, compared, channel=channel, **{self.answer.loss_name: own})


ENTRY = ChannelWiseLogit
