"""Recipes that compare how the samples of a batch stand to each other, at the deepest pair of layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from distill.objectives.features import FeatureLoss
from distill.recipe_parts.base import Setup
from distill.recipe_parts.labelled import LabelledFeatures
from distill.recipe_parts.layout import Layout, grid_rows


class Relational(LabelledFeatures):
    """L = cross_entropy_weight * CE + weight * loss(F_s, F_t), F (n, c): the deepest feature averaged over its
    positions; `loss` needs no projector."""

    compares_samples: ClassVar[bool] = True
    term_name: ClassVar[str] = "relation"

    def __init__(self, setup: Setup, loss: FeatureLoss, weight: float, cross_entropy_weight: float) -> None:
        super().__init__(setup.deepest(), weight, cross_entropy_weight)
        self.loss = loss
        self.student_layout, self.teacher_layout = Layout(setup.student_shapes[-1]), Layout(setup.teacher_shapes[-1])

    def kept(self, features: Sequence[Tensor]) -> list[Tensor]:
        return [grid_rows(self.teacher_layout.canonise(feature), 1) for feature in features]

    def term(self, features: Sequence[Tensor], kept: Sequence[Tensor], targets: dict[str, Tensor]) -> Tensor:
        rows = grid_rows(self.student_layout.canonise(features[0]), 1)
        term: Tensor = self.loss(rows, kept[0])
        return term
