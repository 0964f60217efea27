"""One minus linear CKA: the angle between the two centred Gram matrices."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from distill.objectives.features import FeatureLoss, unit_matrix

PARAMETERS: dict[str, dict[str, Any]] = {}


class CKA(FeatureLoss):
    """1 - <A A^T, B B^T>_F / (||A A^T||_F ||B B^T||_F), docs/methods.md, section 4 [C].

    A (n, d_s), B (n, d_t): student and teacher, columns centred, Frobenius norm 1. In [0, 1]; no projector; n x n
    memory. Computed as half the squared distance of the two unit Grams, which is the same number without
    cancellation near 0. A constant matrix has no direction (**our choice**): 1 against any other, 0 against another
    constant one.
    """

    def compare(self, student: Tensor, teacher: Tensor, mask: Tensor | None) -> Tensor:
        K, alive_s = _unit_gram(unit_matrix(student, mask))
        L, alive_t = _unit_gram(unit_matrix(teacher, mask))
        # Half the squared distance is 1/2 where one Gram is zero; the second half makes it the defined 1.
        return 0.5 * (K - L).square().sum() + 0.5 * (alive_s != alive_t)


def _unit_gram(A: Tensor) -> tuple[Tensor, Tensor]:
    """A A^T / ||A A^T||_F, and whether A is more than zero. ||A A^T||_F >= 1 / sqrt(rank) for ||A||_F = 1, so the root
    is far from 0 wherever it is used."""
    K = A @ A.T
    energy = K.square().sum()
    alive = energy != 0
    return K * torch.where(alive, energy, 1).rsqrt(), alive


ENTRY = CKA
