"""A README for the student, with a snippet that loads it."""

from __future__ import annotations

from pathlib import Path

from distill.export._base import Artifact, Context, write_text


def export(context: Context, folder: Path) -> list[Artifact]:
    return [write_text(folder, "README.md", context.delivery.card(context), "text/markdown")]


ENTRY = export
