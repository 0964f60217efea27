"""Relational distillation: distances between pairs of samples, and angles between triples."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from distill.objectives.features import FeatureLoss, overflow

PARAMETERS: dict[str, dict[str, Any]] = {}
DISTANCE, ANGLE = 25.0, 50.0
SMALLEST = 1e-12
TRIPLES = 1 << 24


class RKD(FeatureLoss):
    """25 mean_ij h(d_ij(s), d_ij(t)) + 50 mean_ijk h(a_ijk(s), a_ijk(t)): relational knowledge distillation (Park et
    al., CVPR 2019, arXiv 1904.05068, equations 5 to 9).

    d_ij: Euclidean distance of rows i and j divided by its mean over i != j; a_ijk: cosine of the angle at i between
    rows j and k, 0 where one of them is i; h: Huber's loss (smooth L1 at 1). student (n, d_s), teacher (n, d_t): no
    projector, >= 0, scale and shift change nothing. Compares the rows of a batch; n^3 memory. Agrees with
    HobbitLong/RepDistiller's `distiller_zoo/RKD.py`, whence the weights.

    **Our choices**: angles come from the Gram matrix of the centred rows, in n^3 values where the benchmark's code
    needs n^2 d more; beyond 2^24 triples (n > 256) only so many evenly spaced rows are the vertex i of an angle as
    stay below. Rows that are equal up to rounding have distance 1e-6 and angle 0. Exploded features give NaN; without
    rows or columns the loss is 0.
    """

    distance, angle = DISTANCE, ANGLE

    @classmethod
    def weighing(cls, distance: float, angle: float) -> RKD:
        """With other weights than 25 and 50."""
        made = cls()
        made.distance, made.angle = distance, angle
        return made

    def compare(self, student: Tensor, teacher: Tensor, mask: Tensor | None) -> Tensor:
        if mask is not None:
            student, teacher = student[mask], teacher[mask]
        if not student.numel():
            return student.sum()
        (d_s, a_s), (d_t, a_t) = _relations(student), _relations(teacher)
        distances, angles = F.smooth_l1_loss(d_s, d_t), F.smooth_l1_loss(a_s, a_t)
        return self.distance * distances + self.angle * angles + overflow(student, teacher)


def _relations(rows: Tensor) -> tuple[Tensor, Tensor]:
    """(n, n) distances over their mean, and (m, n, n) cosines at m vertices; m = n up to 256 rows."""
    n = len(rows)
    centred = rows - rows.mean(0, keepdim=True)
    K = centred @ centred.T
    sizes = K.diagonal()[:, None] + K.diagonal()
    squares = sizes - 2 * K
    itself = torch.eye(n, dtype=torch.bool, device=rows.device)
    apart = (squares > 10 * torch.finfo(rows.dtype).eps * sizes) & ~itself
    lengths = torch.where(apart, squares, SMALLEST).clamp(min=SMALLEST).sqrt().masked_fill(itself, 0)
    mean = (lengths.sum() / max(n * (n - 1), 1)).clamp(min=SMALLEST)
    return lengths / mean, _cosines(K, lengths, apart)


def _cosines(K: Tensor, lengths: Tensor, apart: Tensor) -> Tensor:
    """<x_j - x_i, x_k - x_i> / (|x_j - x_i| |x_k - x_i|) at every vertex i."""
    n = len(K)
    i = torch.linspace(0, n - 1, max(1, min(n, TRIPLES // n**2)), device=K.device).long()
    inner = K - K[i][:, :, None] - K[i][:, None, :] + K.diagonal()[i][:, None, None]
    inverse = torch.where(apart, 1 / torch.where(apart, lengths, 1), 0)[i]
    return inner * inverse[:, :, None] * inverse[:, None, :]


ENTRY = RKD
