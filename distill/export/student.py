"""The student's weights, with what is needed to use them in the header; the same as student.json."""

from __future__ import annotations

from pathlib import Path

from distill.export._base import Artifact, Context


def export(context: Context, folder: Path) -> list[Artifact]:
    return context.delivery.weights(context, folder)


ENTRY = export
