"""Mean squared error, after a learnt projection of the student to the teacher's width."""

from __future__ import annotations

from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor

from distill.errors import InvalidConfig
from distill.losses._base import FeatureLoss

PARAMETERS: dict[str, dict[str, Any]] = {}


class MSE(FeatureLoss):
    """mean over rows and elements of (student - teacher)^2, METHODS section 2 [A].

    student, teacher (n, d) of EQUAL width; >= 0, in squared feature units. The projection is not part of the loss:
    `needs_projector` asks the recipe to build one. Raises `InvalidConfig` for different widths.
    """

    needs_projector: ClassVar[bool] = True

    def compare(self, student: Tensor, teacher: Tensor, mask: Tensor | None) -> Tensor:
        if student.shape[1] != teacher.shape[1]:
            raise InvalidConfig(
                f"mse compares equal widths, not {student.shape[1]} and {teacher.shape[1]}.",
                "Project the student to the teacher's width first, as recipes do, or use procrustes, gram or cka.",
                {"student": list(student.shape), "teacher": list(teacher.shape)},
            )
        if mask is None:
            return F.mse_loss(student, teacher)  # one pass each way; written out it takes four
        error = (student - teacher).masked_fill(~mask.bool()[:, None], 0).square().sum()
        return error / (mask.sum().clamp(min=1) * student.shape[1])


ENTRY = MSE
