"""Squared distance between the two Gram matrices of centred, normalised features."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from distill.objectives.features import FeatureLoss, unit_matrix

PARAMETERS: dict[str, dict[str, Any]] = {}


class Gram(FeatureLoss):
    """|| A A^T - B B^T ||_F^2, docs/methods.md, section 4 [C].

    A (n, d_s), B (n, d_t): student and teacher, columns centred, Frobenius norm 1. In [0, 2]; no projector; n x n
    memory. Summed over the difference of the Grams, not from three products, so that near 0 nothing cancels. A
    constant matrix counts as 0 (**our choice**).
    """

    def compare(self, student: Tensor, teacher: Tensor, mask: Tensor | None) -> Tensor:
        A, B = unit_matrix(student, mask), unit_matrix(teacher, mask)
        return (A @ A.T - B @ B.T).square().sum()


ENTRY = Gram
