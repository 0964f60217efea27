"""Each channel's map normalised before the maps are compared: the pattern of activity, whatever its strength."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from distill.objectives.channels import alike
from distill.objectives.features import FeatureLoss, overflow

PARAMETERS: dict[str, dict[str, Any]] = {}
EPSILON = 1e-6


class Pearson(FeatureLoss):
    """1/2 mean (z(student) - z(teacher))^2 with z(x) = (x - mean) / (std + 1e-6) of each channel over all samples and
    positions: PKD (Cao et al. 2022, arXiv 2207.02039). It is 1 - r but for rounding, r the channels' mean
    Pearson correlation, and so in [0, 2].

    student, teacher (c, n p): a row is one channel, its maps of n samples after each other. Scale and offset of a
    channel change nothing, which lets teacher and student be detectors of different kinds. The student is first
    projected to the teacher's channels. std has the divisor m - 1 of m columns. Agrees with `PKDLoss` of the authors'
    public code (mmrazor) on maps of one size. Without rows it is 0; features whose squared norm overflows give NaN, so
    that divergence is seen (**our choices**). Raises `InvalidConfig` for different shapes, and for a single column.
    """

    needs_projector: ClassVar[bool] = True
    by_channel: ClassVar[bool] = True
    over_batch: ClassVar[bool] = True

    def compare(self, student: Tensor, teacher: Tensor, mask: Tensor | None) -> Tensor:
        student, teacher = alike("pearson", "channels", "value", student, teacher, mask)
        if not student.numel():
            return student.sum()
        gap = normalised(student) - normalised(teacher)
        return gap.square().mean() / 2 + overflow(student, teacher)


def normalised(rows: Tensor) -> Tensor:
    """Rows (c, m) less their mean, divided by their standard deviation."""
    return (rows - rows.mean(1, keepdim=True)) / (rows.std(1, keepdim=True) + EPSILON)


ENTRY = Pearson
