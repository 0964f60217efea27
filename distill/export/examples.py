"""Test samples with what the networks say of them, where the task has something to show."""

from __future__ import annotations

from pathlib import Path

from distill.export._base import Artifact, Context


def export(context: Context, folder: Path) -> list[Artifact]:
    return context.delivery.examples(context, folder)


ENTRY = export
