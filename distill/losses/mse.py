"""Mean squared error, after a learnt projection of the student to the teacher's width."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from distill.errors import InvalidConfig
from distill.objectives.features import FeatureLoss, full_precision

PARAMETERS: dict[str, dict[str, Any]] = {}
BLOCK = 1 << 17  # elements


class MSE(FeatureLoss):
    """mean over rows and elements of (student - teacher)^2, docs/methods.md, section 2 [A].

    student, teacher (n, d) of EQUAL width; >= 0, in squared feature units. The projection is not part of the loss:
    `needs_projector` asks the recipe to build one. Without rows or columns it is 0, as without unmasked rows (**our
    choice**). Raises `InvalidConfig` for different widths.
    """

    needs_projector: ClassVar[bool] = True

    def forward(self, student: Tensor, teacher: Tensor, mask: Tensor | None = None) -> Tensor:
        """Both as they are: maps in full resolution are many bytes, and widening them costs more than the loss."""
        self._check(student, teacher, mask)
        if student.shape[1] != teacher.shape[1]:
            raise InvalidConfig(
                f"mse compares equal widths, not {student.shape[1]} and {teacher.shape[1]}.",
                "Project the student to the teacher's width first, as recipes do, or use a loss without a projector.",
                {"student": list(student.shape), "teacher": list(teacher.shape)},
            )
        if student.numel() == 0:
            return student.to(full_precision(student, teacher)).sum()
        if mask is not None:
            left_out = ~mask.bool()[:, None]
            student, teacher = student.masked_fill(left_out, 0), teacher.masked_fill(left_out, 0)
        mean: Tensor = _MeanSquare.apply(student, teacher)  # type: ignore[no-untyped-call]
        return mean if mask is None else mean * len(mask) / mask.sum().clamp(min=1)


class _MeanSquare(torch.autograd.Function):
    """mean (student - teacher)^2 with one pass over memory a direction.

    The difference is taken and squared in fp32 (fp64), a block of rows at a time that stays in the processor's cache,
    and kept for the gradient in the student's type, in which the gradient leaves.
    """

    @staticmethod
    def forward(ctx: Any, student: Tensor, teacher: Tensor) -> Tensor:
        wide = full_precision(student, teacher)
        kept, terms = torch.empty_like(student), []
        rows = max(1, BLOCK // student.shape[1]) if student.device.type == "cpu" else len(student)
        for start in range(0, len(student), rows):
            block = slice(start, start + rows)
            difference = student[block].to(wide) - teacher[block]
            kept[block] = difference
            terms.append(difference.square().sum())
        ctx.save_for_backward(kept)
        ctx.teacher_type = teacher.dtype
        return torch.stack(terms).sum() / student.numel()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        (difference,) = ctx.saved_tensors
        gradient = difference * (2 / difference.numel() * grad)
        student, teacher = ctx.needs_input_grad
        return gradient if student else None, -gradient.to(ctx.teacher_type) if teacher else None


ENTRY = MSE
