"""Stepping stones: student blocks continued by the teacher's remaining blocks, each taught on its logits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from distill.errors import InvalidConfig
from distill.layers import WHOLE, FeatureView
from distill.objectives.logits import soft_divergence
from distill.parameters import validated
from distill.recipe_parts.base import Setup
from distill.recipe_parts.features import FeatureRecipe
from distill.recipe_parts.projectors import Connector, SequenceConnector
from distill.recipe_parts.schema import TEMPERATURE
from distill.recipe_parts.tail import Tail

PARAMETERS: dict[str, dict[str, Any]] = {
    "label_weight": {
        "type": "number",
        "minimum": 0,
        "default": 1.0,
        "description": "a: cross-entropy of all networks.",
    },
    "teacher_weight": {
        "type": "number",
        "minimum": 0,
        "default": 1.0,
        "description": "b: divergence from the teacher.",
    },
    "ensemble_weight": {
        "type": "number",
        "minimum": 0,
        "default": 1.0,
        "description": "g: divergence from the stepping stones' mean logits.",
    },
    "stone_weight": {
        "type": "number",
        "minimum": 0,
        "default": 1.0,
        "description": "Factor of every w_i = 1 / 2^(n-i); 0: only the student meets labels and teacher.",
    },
    **TEMPERATURE,
    "stones": {
        "type": ["integer", "null"],
        "minimum": 1,
        "default": None,
        "description": "Keep only the last so many stepping stones, which cost the least; null: all.",
    },
}


class BlockwiseLogit(FeatureRecipe):
    """Block-wise logit distillation, docs/methods.md, section 5 [B]. Blocks end at the k chosen layers; stone i is

        N_i = teacher from its layer i on, fed with C_i(student feature i),   i = 1..n
        L = a ( CE(Y^S, y)      + sum_i w_i CE(Y^i, y)      )     w_i = stone_weight / 2^(n-i)
          + b ( d(Y^S, Y^T)     + sum_i w_i d(Y^i, Y^T)     )     d = T^2 KL, Y^T and Y_ens constant
          + g ( d(Y^S, Y_ens)   + sum_i d(Y^i, Y_ens)       )     Y_ens = mean_i Y^i

    CE and d of stone i reach student blocks 1..i and C_i; the teacher is frozen and in eval mode, but gradient flows
    through it. Connectors are dropped at the end. Cost per step: beside student and teacher, one teacher tail forward
    and its input gradient a stone (`Tail`: the part before the layer is skipped). Networks whose layers can be passed
    by (inside a dense block) raise `InvalidConfig`.
    """

    live_teacher: ClassVar[bool] = True
    averages: ClassVar[bool] = True

    @validated(PARAMETERS)
    def __init__(
        self,
        setup: Setup,
        label_weight: float = 1.0,
        teacher_weight: float = 1.0,
        ensemble_weight: float = 1.0,
        stone_weight: float = 1.0,
        temperature: float = 4.0,
        stones: int | None = None,
    ) -> None:
        super().__init__(setup)
        self.label_weight, self.teacher_weight, self.ensemble_weight = label_weight, teacher_weight, ensemble_weight
        self.temperature = temperature
        n = len(setup.student_layers)
        self.kept = range(max(n - (stones or n), 0), n)
        self.stone_weights = [stone_weight / 2 ** (n - 1 - i) for i in self.kept]
        shapes = [(setup.student_shapes[i], setup.teacher_shapes[i]) for i in self.kept]
        self.sequences = setup.view.padded
        connector = SequenceConnector if self.sequences else Connector
        self.connectors = nn.ModuleList(connector(s, t) for s, t in shapes)
        self._tails = _tails(setup, self.kept)

    @torch.no_grad()
    def targets(self, teacher_input: Any) -> dict[str, Tensor]:
        return self.answer.ask(self._frozen(), teacher_input)

    def forward(self, student_input: Any, labels: Tensor, targets: dict[str, Tensor]) -> dict[str, Tensor]:
        features, logits = self._student_pass(student_input)
        sequences = student_input if self.sequences else None
        answer = self.answer
        stones = [answer.compare(stone, labels).outputs for stone in self.stone_logits(features, sequences)]
        compared = answer.compare(logits, labels, targets)
        networks = [compared, *(replace(compared, outputs=stone) for stone in stones)]
        ensemble = {"logits": answer.mean(stones)}
        labelled = self._weighted([answer.loss(each) for each in networks])
        taught = self._weighted([answer.divergence(each, self._divergence) for each in networks])
        from_ensemble = [replace(each, targets=ensemble) for each in networks]
        agreed = torch.stack([answer.divergence(each, self._divergence) for each in from_ensemble]).sum()
        loss = self.label_weight * labelled + self.teacher_weight * taught + self.ensemble_weight * agreed
        return self.parts(loss, compared, **{answer.loss_name: labelled}, logit=taught, ensemble=agreed)

    def _view_of(self, setup: Setup) -> FeatureView:
        """The teacher's layers go on from every token."""
        return WHOLE

    def stone_logits(self, features: list[Tensor], inputs: Any = None) -> list[Tensor]:
        """Y^{N_i}, (n, C) each, of the kept stones, from the student's features in pair order. `inputs`: what student
        and teacher were given, where it is a padded sequence, whose mask the teacher's layers need."""
        connected = [connect(features[i]) for i, connect in zip(self.kept, self.connectors, strict=True)]
        return [tail(feature, inputs) for tail, feature in zip(self._tails, connected, strict=True)]

    def _weighted(self, terms: list[Tensor]) -> Tensor:
        """The student's term plus sum_i w_i of the stones'."""
        return torch.stack([w * term for w, term in zip((1.0, *self.stone_weights), terms, strict=True)]).sum()

    def _divergence(self, logits: Tensor, target: Tensor) -> Tensor:
        return soft_divergence(logits, target, self.temperature)


def _tails(setup: Setup, kept: range) -> list[Tail]:
    if setup.teacher is None or setup.teacher_example is None:
        raise InvalidConfig("blockwise_logit traces the teacher.", "Set `teacher_example` in the set-up.")
    return [Tail(setup.teacher, setup.teacher_layers[i], setup.teacher_example) for i in kept]


ENTRY = BlockwiseLogit
