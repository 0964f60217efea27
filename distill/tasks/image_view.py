"""How a network from a file sees pictures, with who says so."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from distill.models import CheckpointReport, Preprocessing, preprocessing
from distill.recorded import recorded_view
from distill.told import told_view
from distill.types import TeacherPreprocessing

NOTHING = TeacherPreprocessing.model_validate({})


def recorded(report: CheckpointReport) -> Preprocessing | None:
    """The preprocessing in the header of a student of ours: how it was trained is how it must see."""
    how = recorded_view(report.metadata, report.in_channels)
    return None if how is None else Preprocessing(**how)


def teacher_view(report: CheckpointReport, given: TeacherPreprocessing | None) -> dict[str, Any]:
    """The fields of its `Preprocessing` (networks without an input size of their own: at their default), and `origin`:
    `registration`, `header` or `default`, who told its mean and std; `size_told`: whether the size was told at
    registration. Raises `InvalidTeacher`."""
    header = recorded(report)
    base = header or preprocessing(report.architecture, channels=report.in_channels)
    told = told_view(given or NOTHING, report.in_channels)
    whole = {"mean", "std"} <= told.keys()
    size = {"size_told": "size" in told}
    return asdict(base) | told | size | {"origin": "registration" if whole else "header" if header else "default"}
