"""The report as JSON and as Markdown."""

from __future__ import annotations

import json
from pathlib import Path

from distill.export._base import Artifact, Context, write_text
from distill.report import markdown


def export(context: Context, folder: Path) -> list[Artifact]:
    sections = context.delivery.sections(context.report)
    text = json.dumps(context.report, indent=2, allow_nan=False)
    return [
        write_text(folder, "report.json", text + "\n", "application/json"),
        write_text(folder, "report.md", markdown(context.report, sections), "text/markdown"),
    ]


ENTRY = export
