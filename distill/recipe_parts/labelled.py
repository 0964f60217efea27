"""What most published methods on features are: cross-entropy on the labels beside one weighted term of features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from distill.recipe_parts.base import Setup
from distill.recipe_parts.features import FeatureRecipe
from distill.recipe_parts.layout import CommonResolution, Layout


class LabelledFeatures(FeatureRecipe):
    """L = cross_entropy_weight * CE + weight * term(student features, teacher features). No logits of the teacher.

    A recipe says what `kept` of the teacher's features and how the `term`, called `term_name` in metrics, compares
    them. Everything reaches the backbone.
    """

    reads_logits: ClassVar[bool] = False
    term_name: ClassVar[str] = "feature"

    def __init__(self, setup: Setup, weight: float, cross_entropy_weight: float) -> None:
        super().__init__(setup)
        self.weight, self.cross_entropy_weight = weight, cross_entropy_weight
        shapes = zip(setup.student_shapes, setup.teacher_shapes, strict=True)
        self.shares = setup.shares
        self.resolutions = [CommonResolution(Layout(s), Layout(t)) for s, t in shapes]

    def kept(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Teacher features in pair order -> what the term needs of each, first axis the batch. Unless overridden:
        pooled to the pair's common resolution."""
        return [r.teacher(f) for r, f in zip(self.resolutions, features, strict=True)]

    def term(self, features: Sequence[Tensor], kept: Sequence[Tensor], targets: dict[str, Tensor]) -> Tensor:
        """Student features in pair order and the teacher's `kept` -> a scalar in fp32."""
        raise NotImplementedError

    def term_of(
        self, features: Sequence[Tensor], targets: dict[str, Tensor], student_input: Any, labels: Tensor
    ) -> Tensor:
        """The term of a batch. Unless overridden neither inputs nor labels play a part in it."""
        return self.term(features, [targets[f"feature_{i}"] for i in range(len(features))], targets)

    def sum_of(self, terms: Sequence[Tensor]) -> Tensor:
        """The sum over pairs of the scalar terms, and of a set of teachers the weighted mean of their sums."""
        return torch.stack([share * term for share, term in zip(self.shares, terms, strict=True)]).sum()

    def mean_of(self, terms: Sequence[Tensor]) -> Tensor:
        """The mean over pairs, and of a set of teachers the weighted mean of their means."""
        return self.sum_of(terms) / sum(self.shares)

    def pooled(self, features: Sequence[Tensor], kept: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """Both sides of every pair at one resolution: (n, c_s, h, w) and (n, c_t, h, w), or tokens (n, t, c)."""
        return [r.match(r.student(f), k) for r, f, k in zip(self.resolutions, features, kept, strict=True)]

    def targets(self, teacher_input: Any) -> dict[str, Tensor]:
        features, _ = self._teacher_pass(teacher_input, logits=False)
        return {f"feature_{i}": kept for i, kept in enumerate(self.kept(features))}

    def forward(self, student_input: Any, labels: Tensor, targets: dict[str, Tensor]) -> dict[str, Tensor]:
        features, logits = self._student_pass(student_input)
        compared = self.answer.compare(logits, labels)
        own = self.answer.loss(compared)
        term = self.term_of(features, targets, student_input, labels)
        loss = self.cross_entropy_weight * own + self.weight * term
        return self.parts(loss, compared, **{self.term_name: term, self.answer.loss_name: own})
