"""Decoupled distillation: what the teacher says of the right class, and how it ranks the others, weighed apart."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from distill.answers import Compared
from distill.parameters import validated
from distill.recipe_parts.base import Setup
from distill.recipe_parts.schema import LABEL_WEIGHT, TEMPERATURE
from distill.recipes.logit import Logit

PARAMETERS: dict[str, dict[str, Any]] = {
    "target_weight": {
        "type": "number",
        "minimum": 0,
        "default": 1.0,
        "description": "alpha: weight of the divergence between right class and rest.",
    },
    "others_weight": {
        "type": "number",
        "minimum": 0,
        "default": 8.0,
        "description": "beta: weight of the divergence among the wrong classes.",
    },
    **TEMPERATURE,
    **LABEL_WEIGHT,
}


class DKD(Logit):
    """L = cross_entropy_weight * CE + T^2 (alpha KL(b(t) || b(s)) + beta KL(o(t) || o(s))): decoupled knowledge
    distillation (Zhao et al., CVPR 2022, arXiv 2203.08679, equation 7).

    p = softmax(logits / T) of n answers over C classes, y the right class: b = (p_y, 1 - p_y); o = p without y, scaled
    to sum 1. Both terms are means over the answers, >= 0 nats times T^2; with C = 2 the second is 0. At alpha = 1 and
    beta = 1 - p_y(t), answer by answer, the sum is `logit`'s term.

    Defaults: T 4, alpha 1, beta 8 and labels 1, as in megvii-research/mdistiller (`mdistiller/engine/cfg.py`); the
    paper chooses beta by teacher and student, from 0.5 (ImageNet) to 10. **Our choices**: both terms count in full from
    the first step, whereas the authors raise them from 0 over 20 of 240 epochs: the schedule here warms up the learning
    rate instead; divergences come from log-probabilities, where the authors subtract 1000 from the right class's logit.
    """

    one_class: ClassVar[bool] = True

    @validated(PARAMETERS)
    def __init__(
        self,
        setup: Setup,
        target_weight: float = 1.0,
        others_weight: float = 8.0,
        temperature: float = 4.0,
        cross_entropy_weight: float = 1.0,
    ) -> None:
        super().__init__(setup, temperature=temperature, cross_entropy_weight=cross_entropy_weight)
        self.target_weight, self.others_weight = target_weight, others_weight

    def _by_class(self, compared: Compared) -> Tensor:
        def distance(student: Tensor, teacher: Tensor) -> Tensor:
            target, others = decoupled_divergences(student, teacher, compared.labels, self.temperature)
            return self.target_weight * target + self.others_weight * others

        return self.answer.divergence(compared, distance)


def decoupled_divergences(
    student: Tensor, teacher: Tensor, labels: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    """T^2 KL between (right class, rest), and T^2 KL among the wrong classes: means over n, scalars in fp32. student,
    teacher (n, C) logits, labels (n,); below 0: no class is right, all are wrong ones, and the first part is 0."""
    right = torch.arange(student.shape[1], device=labels.device) == labels[:, None]
    (b_s, o_s), (b_t, o_t) = (_decoupled(logits.float() / temperature, right) for logits in (student, teacher))
    return tuple(  # type: ignore[return-value]
        F.kl_div(q, p, reduction="batchmean", log_target=True) * temperature**2 for q, p in ((b_s, b_t), (o_s, o_t))
    )


def _decoupled(logits: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities of the right class and of the rest, (n, 2), and of the wrong classes among themselves, (n, C)
    with a probability of 0 at the right one."""
    lowest = torch.finfo(logits.dtype).min / 4  # finite, so that 0 times its difference is 0
    wrong = logits.masked_fill(right, lowest)
    sums = [logits.masked_fill(~right, lowest).logsumexp(1), wrong.logsumexp(1)]
    return torch.stack(sums, 1).log_softmax(1), wrong.log_softmax(1)


ENTRY = DKD
