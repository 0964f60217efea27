"""Recipes that compare one row a sample at the deepest pair of layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from distill.objectives.features import FeatureLoss
from distill.recipe_parts.base import Setup
from distill.recipe_parts.labelled import LabelledFeatures
from distill.recipe_parts.layout import Layout, grid_rows


class DeepestRows(LabelledFeatures):
    """Its features (n, c) are those of the deepest pair, averaged over their positions."""

    def __init__(self, setup: Setup, weight: float, cross_entropy_weight: float) -> None:
        super().__init__(setup.deepest(), weight, cross_entropy_weight)
        self.student_layout, self.teacher_layout = Layout(setup.student_shapes[-1]), Layout(setup.teacher_shapes[-1])

    def kept(self, features: Sequence[Tensor]) -> list[Tensor]:
        return [grid_rows(self.teacher_layout.canonise(feature), 1) for feature in features]

    def rows(self, features: Sequence[Tensor]) -> Tensor:
        """(n, c_s) of the student's features."""
        return grid_rows(self.student_layout.canonise(features[0]), 1)


class Relational(DeepestRows):
    """L = cross_entropy_weight * CE + weight * loss(F_s, F_t): how the samples of a batch stand to each other. `loss`
    needs no projector."""

    compares_samples: ClassVar[bool] = True
    term_name: ClassVar[str] = "relation"

    def __init__(self, setup: Setup, loss: FeatureLoss, weight: float, cross_entropy_weight: float) -> None:
        super().__init__(setup, weight, cross_entropy_weight)
        self.loss = loss

    def term(self, features: Sequence[Tensor], kept: Sequence[Tensor], targets: dict[str, Tensor]) -> Tensor:
        term: Tensor = self.loss(self.rows(features), kept[0])
        return term
