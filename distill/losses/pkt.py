"""Probabilistic knowledge transfer: whom each sample is close to, as probabilities."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from distill.objectives.features import FeatureLoss, overflow

PARAMETERS: dict[str, dict[str, Any]] = {}
EPSILON = 1e-7


class PKT(FeatureLoss):
    """mean_ij p_ij ln((p_ij + e) / (q_ij + e)),   p_ij = k_ij / sum_j k_ij,   k_ij = (cos(t_i, t_j) + 1) / 2, e = 1e-7;
    q of the student's features likewise: probabilistic knowledge transfer (Passalis and Tefas, ECCV 2018, arXiv
    1803.10837, equations 4, 5 and 7, with the cosine kernel).

    student (n, d_s), teacher (n, d_t): no projector. A mean over all n^2 pairs, each with itself too, and so 1 / n of
    the mean divergence of a row: small numbers, which the usual benchmark weighs 30,000; >= 0 up to e. n x n memory;
    compares the rows of a batch. As HobbitLong/RepDistiller's `distiller_zoo/PKT.py`, which is its authors' code.
    **Our choices**: what is not finite gives NaN, so that divergence is seen, where their code makes it 0; without
    rows or columns the loss is 0.
    """

    def compare(self, student: Tensor, teacher: Tensor, mask: Tensor | None) -> Tensor:
        if mask is not None:
            student, teacher = student[mask], teacher[mask]
        if not student.numel():
            return student.sum()
        p, q = _neighbours(teacher), _neighbours(student)
        return (p * ((p + EPSILON) / (q + EPSILON)).log()).mean() + overflow(student, teacher)


def _neighbours(rows: Tensor) -> Tensor:
    """(n, n) probabilities, each row of sum 1."""
    unit: Tensor = rows / (torch.linalg.vector_norm(rows, dim=1, keepdim=True) + EPSILON)
    kernel: Tensor = (unit @ unit.T + 1) / 2
    return kernel / kernel.sum(1, keepdim=True)


ENTRY = PKT
