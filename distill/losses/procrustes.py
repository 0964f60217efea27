"""Procrustes distance: how far two feature clouds stay apart under the best rotation of one onto the other."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from distill.objectives.features import FeatureLoss, at_least_zero, unit_matrix

PARAMETERS: dict[str, dict[str, Any]] = {}


class Procrustes(FeatureLoss):
    """||A||_F^2 + ||B||_F^2 - 2 ||A^T B||_*, docs/methods.md, section 4 [C].

    A (n, d_s), B (n, d_t): student and teacher, columns centred, Frobenius norm 1. In [0, 2]; no projector.
    Gradient by the envelope theorem: with A^T B = U S V^T, ||A^T B||_* = <A U, B V> where U and V are constants. It
    is exact, needs no backward through an SVD, and stays finite at repeated and zero singular values. A constant
    matrix counts as 0 (**our choice**): distance 1 to any other, 0 to another constant one.
    The SVD runs in fp32 (fp64 for fp64 input) on a matrix of side at most min(n, d); on a GPU it is the one place
    where a loss waits for the device, because the library checks for convergence.
    """

    def compare(self, student: Tensor, teacher: Tensor, mask: Tensor | None) -> Tensor:
        A, B = unit_matrix(student, mask), unit_matrix(teacher, mask)
        U, V = _singular_vectors(A, B)
        nuclear = ((A @ U) * (B @ V)).sum()
        return at_least_zero(A.square().sum() + B.square().sum() - 2 * nuclear)


@torch.no_grad()
def _singular_vectors(A: Tensor, B: Tensor) -> tuple[Tensor, Tensor]:
    """U (d_s, r), V (d_t, r) of A^T B. Matrices wider than tall are first reduced by a thin QR of their transpose:
    A^T = Q_a R_a gives A^T B = Q_a (R_a R_b^T) Q_b^T, so the SVD's sides are at most n."""
    # LAPACK raises on NaN; here NaN must reach the loss's value instead, where divergence is looked for.
    A, B = A.nan_to_num(), B.nan_to_num()
    Qa, Ra = _reduce(A)
    Qb, Rb = _reduce(B)
    U, _, Vh = torch.linalg.svd(Ra @ Rb.T, full_matrices=False)
    return _expand(Qa, U), _expand(Qb, Vh.T)


def _reduce(A: Tensor) -> tuple[Tensor | None, Tensor]:
    if A.shape[0] >= A.shape[1]:
        return None, A.T
    Q, R = torch.linalg.qr(A.T)
    return Q, R


def _expand(Q: Tensor | None, U: Tensor) -> Tensor:
    return U if Q is None else Q @ U


ENTRY = Procrustes
