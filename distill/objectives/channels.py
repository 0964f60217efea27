"""What losses of channels ask of their rows."""

from __future__ import annotations

from torch import Tensor

from distill.errors import InvalidConfig


def alike(
    loss: str, rows: str, column: str, student: Tensor, teacher: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Student and teacher (r, m), those rows of both that the mask (r) keeps. `loss`, `rows`, `column`: what the loss,
    its rows and one of their columns are called. Raises `InvalidConfig` for different shapes, and for a single
    column."""
    if student.shape != teacher.shape or student.shape[1] == 1:
        raise InvalidConfig(
            f"{loss} compares {rows} of one size with more than one {column}, not {tuple(student.shape)} and "
            f"{tuple(teacher.shape)} (channels, {column}s).",
            "Choose layers that keep height and width, or another feature loss.",
            {"student": list(student.shape), "teacher": list(teacher.shape)},
        )
    return (student, teacher) if mask is None else (student[mask], teacher[mask])
