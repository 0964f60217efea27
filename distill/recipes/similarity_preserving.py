"""Samples that look alike to the teacher shall look alike to the student: batch similarity matrices, plus labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor

from distill import processes
from distill.objectives.full_precision import without_autocast
from distill.parameters import validated
from distill.recipe_parts.base import Setup
from distill.recipe_parts.labelled import LabelledFeatures
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


class SimilarityPreserving(LabelledFeatures):
    """L = cross_entropy_weight * CE + similarity_weight * mean over pairs || G(F_s) - G(F_t) ||_F^2 / n^2.

    G(F) = rows of F F^T scaled to norm 1, F (n, d) the flattened feature; the mean runs over the WHOLE n x n matrix
    (docs/methods.md, section 3). **Our choices**: features are pooled to the pair's common resolution first, so that
    targets are small; the pairs' mean, not their sum.
    """

    compares_samples: ClassVar[bool] = True
    several_teachers: ClassVar[bool] = True
    term_name: ClassVar[str] = "similarity"

    @validated(PARAMETERS)
    def __init__(self, setup: Setup, similarity_weight: float = 3000.0, cross_entropy_weight: float = 1.0) -> None:
        super().__init__(setup, similarity_weight, cross_entropy_weight)

    def term(self, features: Sequence[Tensor], kept: Sequence[Tensor], targets: dict[str, Tensor]) -> Tensor:
        pooled = [r.student(f) for r, f in zip(self.resolutions, features, strict=True)]
        return self.mean_of([similarity_gap(s, t) for s, t in zip(pooled, kept, strict=True)])


def similarity_gap(student: Tensor, teacher: Tensor) -> Tensor:
    """mean over all n^2 entries of (G(student) - G(teacher))^2; any (n, ...) each, in fp32; in [0, 4 / n]. n counts the
    samples of all processes."""
    student, teacher = processes.whole(student), processes.whole(teacher)
    with without_autocast(student.device):
        return (_similarities(student) - _similarities(teacher)).square().mean()


def _similarities(feature: Tensor) -> Tensor:
    flat = feature.float().flatten(1)
    return F.normalize(flat @ flat.T, dim=1)


ENTRY = SimilarityPreserving
