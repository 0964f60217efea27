"""What every feature loss is: a module from two feature matrices to a scalar."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from distill import processes
from distill.errors import InvalidConfig
from distill.objectives.full_precision import without_autocast


class FeatureLoss(nn.Module):
    """Base of the feature losses (docs/methods.md, section 4).

    `forward(student, teacher, mask=None)`: student (n, d_s), teacher (n, d_t), one sample (or token) a row; mask (n,)
    bool, False for rows to leave out. Returns a scalar in fp32 (fp64 where either is fp64), also under autocast.
    `needs_projector`: the loss compares element by element, so a recipe first projects the student to the teacher's
    width and keeps the spatial resolution; the others take any widths. `by_channel`: a row is one channel of one sample
    with its positions as columns, instead of one sample; `over_batch`: of all samples, one after the other. Losses that
    compare samples, `over_batch` or without a projector, see those of all processes (`distill.processes.sharing`).
    """

    needs_projector: ClassVar[bool] = False
    by_channel: ClassVar[bool] = False
    over_batch: ClassVar[bool] = False

    def forward(self, student: Tensor, teacher: Tensor, mask: Tensor | None = None) -> Tensor:
        self._check(student, teacher, mask)
        student, teacher, mask = self._whole(student, teacher, mask)
        wide = full_precision(student, teacher)
        with without_autocast(student.device):
            return self.compare(student.to(wide), teacher.to(wide), mask)

    def _whole(self, student: Tensor, teacher: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """What is compared: where rows or their columns are of several samples, those of all processes."""
        if self.over_batch:
            return processes.whole(student.T).T, processes.whole(teacher.T).T, mask
        if self.needs_projector:
            return student, teacher, mask
        return processes.whole(student), processes.whole(teacher), None if mask is None else processes.whole(mask)

    def compare(self, student: Tensor, teacher: Tensor, mask: Tensor | None) -> Tensor:
        """The loss itself, in full precision."""
        raise NotImplementedError

    def _check(self, student: Tensor, teacher: Tensor, mask: Tensor | None) -> None:
        if student.dim() != 2 or teacher.dim() != 2 or len(student) != len(teacher):
            raise InvalidConfig(
                f"Feature matrices must be (n, d_s) and (n, d_t), not {_shape(student)} and {_shape(teacher)}.",
                "Flatten each sample or token to one row, the same rows for student and teacher.",
                {"student": list(student.shape), "teacher": list(teacher.shape)},
            )
        if mask is not None and mask.shape != student.shape[:1]:
            raise InvalidConfig(
                f"The mask must be ({len(student)},), one value a row, not {_shape(mask)}.",
                "Give True for each row that counts and False for each that does not.",
                {"mask": list(mask.shape)},
            )


def unit_matrix(features: Tensor, mask: Tensor | None = None) -> Tensor:
    """Centre the columns of (n, d), then divide by the Frobenius norm. Rows that `mask` leaves out become 0, which is
    the same to every loss here as removing them, without the host-device sync of a boolean index.

    **Our choice**: a matrix that is constant up to rounding (one row, a dead layer) becomes 0 and passes no gradient,
    since dividing its rounding noise by its norm would be noise of norm 1. Features whose squared norm overflows (fp32:
    1.8e19 and more) give NaN, so that the run ends as diverged.
    """
    rows = torch.ones_like(features[:, :1]) if mask is None else mask.to(features.dtype)[:, None]
    features = torch.where(rows > 0, features, 0)
    count = rows.sum().clamp(min=1)
    centred = (features - features.sum(0, keepdim=True) / count) * rows
    size = features.detach().square().sum()
    energy = centred.square().sum()
    # What is not finite must come out as NaN, so that divergence is seen: only what is surely constant is zeroed. An
    # infinite norm would pass every comparison and divide all features to 0.
    energy = torch.where((energy + size).isfinite(), energy, torch.nan)
    constant = energy <= (10 * torch.finfo(features.dtype).eps) ** 2 * size
    return torch.where(constant, 0, centred) * torch.where(constant, 1, energy).rsqrt()


def overflow(student: Tensor, teacher: Tensor) -> Tensor:
    """0, or NaN where a squared norm is not finite: added to a loss whose formula would hide it, so that divergence is
    seen. Passes no gradient."""
    return (student.detach().square().sum() + teacher.detach().square().sum()) * 0


def at_least_zero(value: Tensor) -> Tensor:
    """Lift a value that rounding has pushed below 0 to 0, leaving its gradient alone."""
    return value + (value.clamp(min=0) - value).detach()


def full_precision(student: Tensor, teacher: Tensor) -> torch.dtype:
    """The type that both are compared in: fp64 where either is fp64, else fp32."""
    return torch.promote_types(torch.promote_types(student.dtype, teacher.dtype), torch.float32)


def _shape(x: Tensor) -> tuple[int, ...]:
    return tuple(x.shape)
