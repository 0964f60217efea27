"""Each channel's map as a distribution over positions: where the teacher looks, and not how strongly."""

from __future__ import annotations

from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor

from distill.objectives.channels import alike
from distill.objectives.features import FeatureLoss, overflow

PARAMETERS: dict[str, dict[str, Any]] = {}
TEMPERATURE = 4.0


class ChannelWise(FeatureLoss):
    """T^2 / (n c) sum over samples and channels of KL( softmax(teacher / T) || softmax(student / T) ), the softmax over
    the positions of one channel's map: channel-wise distillation (Shu et al. 2021, arXiv 2011.13256, equations 2, 3).

    student, teacher (n c, p): a row is one channel of one sample, p positions. >= 0, nats times T^2 = 16. The student
    is first projected to the teacher's channels; a constant added to a channel changes nothing. Without rows or columns
    it is 0; features whose squared norm overflows give NaN, so that divergence is seen (**our choices**). Agrees with
    the authors' `CriterionCWD(norm_type="channel", divergence="kl", temperature=4)`. Raises `InvalidConfig` for
    different shapes, and for maps of a single position, whose only distribution is no knowledge.
    """

    needs_projector: ClassVar[bool] = True
    by_channel: ClassVar[bool] = True

    temperature: float = TEMPERATURE

    @classmethod
    def at(cls, temperature: float) -> ChannelWise:
        """With another T than the paper's 4."""
        made = cls()
        made.temperature = temperature
        return made

    def compare(self, student: Tensor, teacher: Tensor, mask: Tensor | None) -> Tensor:
        student, teacher = alike("channel_wise", "maps", "position", student, teacher, mask)
        if not student.numel():
            return student.sum()
        log_p, log_q = (F.log_softmax(rows / self.temperature, dim=1) for rows in (teacher, student))
        divergence = F.kl_div(log_q, log_p, reduction="batchmean", log_target=True) * self.temperature**2
        return divergence + overflow(student, teacher)


ENTRY = ChannelWise
