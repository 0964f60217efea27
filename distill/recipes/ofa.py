"""Across families: branches carry features into the space of logits, where architectures agree, plus labels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill.answers import Compared
from distill.layers.modes import evaluating
from distill.parameters import validated
from distill.recipe_parts.base import Setup
from distill.recipe_parts.branches import Branch
from distill.recipe_parts.features import FeatureRecipe
from distill.recipe_parts.layout import Layout
from distill.recipe_parts.networks import beside, run_logits
from distill.recipe_parts.schema import LABEL_WEIGHT, SOFTENING

PARAMETERS: dict[str, dict[str, Any]] = {
    "logit_weight": {
        "type": "number",
        "minimum": 0,
        "default": 1.0,
        "description": "Weight of the student's own distance from the teacher.",
    },
    "branch_weight": {
        "type": "number",
        "minimum": 0,
        "default": 1.0,
        "description": "Weight of the branches' distances from the teacher, a sum over them.",
    },
    "epsilon": {
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": 10,
        "default": 1.0,
        "description": "Power that raises the right class's part of the target; 1: the teacher's probabilities.",
    },
    **SOFTENING,
    **LABEL_WEIGHT,
}


class OFA(FeatureRecipe):
    """L = cross_entropy_weight * CE + logit_weight * d(s, t) + branch_weight * sum_i d(b_i, t): one-for-all
    distillation (Hao et al., NeurIPS 2023, arXiv 2310.19444, equations 7 to 9).

    d(s, t) = - mean sum_c ((p_c + [c = y])^epsilon - [c = y]) ln q_c,   p = softmax(t / T), q = softmax(s / T)

    over samples, classes c, right class y; t (n, C) the teacher's logits, s the student's, b_i those of a branch at the
    student's layer i. >= 0 nats. At epsilon = 1 d is the cross-entropy with the teacher's probabilities; above it the
    right class counts for more. Only the student's layers are read, so any family teaches any other; branches are
    dropped after training (`distill.recipe_parts.branches` has their form).

    Defaults: all weights, epsilon and T 1, as in Hao840/OFAKD (`train.py`, `distillers/ofa.py`; its README's command
    has epsilon 1.5). **Our choices**: a branch at each chosen layer in place of four stages.
    """

    sample_answers: ClassVar[bool] = True
    one_class: ClassVar[bool] = True

    @validated(PARAMETERS)
    def __init__(
        self,
        setup: Setup,
        logit_weight: float = 1.0,
        branch_weight: float = 1.0,
        epsilon: float = 1.0,
        temperature: float = 1.0,
        cross_entropy_weight: float = 1.0,
    ) -> None:
        super().__init__(setup)
        self.logit_weight, self.branch_weight, self.cross_entropy_weight = (
            logit_weight,
            branch_weight,
            cross_entropy_weight,
        )
        self.epsilon, self.temperature = epsilon, temperature
        layouts, last = [Layout(shape) for shape in setup.student_shapes], len(setup.student_shapes) - 1
        widths = layouts[-1].channels, Layout(setup.teacher_shapes[-1]).channels
        outputs = _outputs(setup)
        self.branches = nn.ModuleList(Branch(each, last - i, widths, outputs) for i, each in enumerate(layouts))

    @torch.no_grad()
    def targets(self, teacher_input: Any) -> dict[str, Tensor]:
        return self.answer.ask(self._frozen(), teacher_input)

    def forward(self, student_input: Any, labels: Tensor, targets: dict[str, Tensor]) -> dict[str, Tensor]:
        features, logits = self._student_pass(student_input)
        compared = self.answer.compare(logits, labels, targets)
        own, taught = self.answer.loss(compared), self._distance(compared)
        answers = [branch(feature) for branch, feature in zip(self.branches, features, strict=True)]
        branches = torch.stack([self._distance(replace(compared, outputs=each)) for each in answers]).sum()
        loss = self.cross_entropy_weight * own + self.logit_weight * taught + self.branch_weight * branches
        return self.parts(loss, compared, **{self.answer.loss_name: own}, logit=taught, branches=branches)

    def _distance(self, compared: Compared) -> Tensor:
        def distance(student: Tensor, teacher: Tensor) -> Tensor:
            return enhanced(student, teacher, compared.labels, self.epsilon, self.temperature)

        return self.answer.divergence(compared, distance)


def enhanced(student: Tensor, teacher: Tensor, labels: Tensor, epsilon: float, temperature: float) -> Tensor:
    """Cross-entropy of logits (n, C) with the teacher's probabilities, the right class's enhanced: a scalar in fp32. A
    label below 0 enhances none."""
    right = (torch.arange(teacher.shape[1], device=labels.device) == labels[:, None]).float()
    wanted = ((teacher.float() / temperature).softmax(1) + right) ** epsilon - right
    return -(wanted * F.log_softmax(student.float() / temperature, dim=1)).sum(1).mean()


@torch.no_grad()
def _outputs(setup: Setup) -> int:
    """C: how many logits the student has; the number of classes where there is no example to ask it."""
    if setup.student_example is None:
        return setup.num_classes
    with evaluating(setup.student):
        return run_logits(setup.student, beside(setup.student, setup.student_example)).shape[1]


ENTRY = OFA
