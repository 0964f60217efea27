"""Samples that look alike to the teacher shall look alike to the student: batch similarity matrices, plus labels."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from distill.parameters import validated
from distill.recipe_parts.base import Setup
from distill.recipe_parts.features import FeatureRecipe
from distill.recipe_parts.layout import CommonResolution, Layout
from distill.recipe_parts.schema import LABEL_WEIGHT

PARAMETERS: dict[str, dict[str, Any]] = {
    "similarity_weight": {
        "type": "number",
        "minimum": 0,
        "default": 3000.0,
        "description": "Weight of the similarity.",
    },
    **LABEL_WEIGHT,
}


class SimilarityPreserving(FeatureRecipe):
    """L = cross_entropy_weight * CE + similarity_weight * mean over pairs || G(F_s) - G(F_t) ||_F^2 / n^2.

    G(F) = rows of F F^T scaled to norm 1, F (n, d) the flattened feature; the mean runs over the WHOLE n x n matrix
    (docs/methods.md, section 3). **Our choices**: features are pooled to the pair's common resolution first, so that
    targets are small; the pairs' mean, not their sum.
    """

    reads_logits: ClassVar[bool] = False

    @validated(PARAMETERS)
    def __init__(self, setup: Setup, similarity_weight: float = 3000.0, cross_entropy_weight: float = 1.0) -> None:
        super().__init__(setup)
        self.similarity_weight, self.cross_entropy_weight = similarity_weight, cross_entropy_weight
        shapes = zip(setup.student_shapes, setup.teacher_shapes, strict=True)
        self._resolutions = [CommonResolution(Layout(s), Layout(t)) for s, t in shapes]

    def targets(self, teacher_input: Any) -> dict[str, Tensor]:
        features, _ = self._teacher_pass(teacher_input, logits=False)
        pooled = [r.teacher(f) for r, f in zip(self._resolutions, features, strict=True)]
        return {f"feature_{i}": feature for i, feature in enumerate(pooled)}

    def forward(self, student_input: Any, labels: Tensor, targets: dict[str, Tensor]) -> dict[str, Tensor]:
        features, logits = self._student_pass(student_input)
        compared = self.answer.compare(logits, labels)
        own = self.answer.loss(compared)
        pooled = [r.student(f) for r, f in zip(self._resolutions, features, strict=True)]
        terms = [similarity_gap(f, targets[f"feature_{i}"]) for i, f in enumerate(pooled)]
        similarity = torch.stack(terms).mean()
        loss = self.cross_entropy_weight * own + self.similarity_weight * similarity
        return self.parts(loss, compared, similarity=similarity, **{self.answer.loss_name: own})


def similarity_gap(student: Tensor, teacher: Tensor) -> Tensor:
    """mean over all n^2 entries of (G(student) - G(teacher))^2; any (n, ...) each, in fp32; in [0, 4 / n]."""
    with torch.autocast(student.device.type, enabled=False):
        return (_similarities(student) - _similarities(teacher)).square().mean()


def _similarities(feature: Tensor) -> Tensor:
    flat = feature.float().flatten(1)
    return F.normalize(flat @ flat.T, dim=1)


ENTRY = SimilarityPreserving
