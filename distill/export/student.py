"""The student's weights as safetensors, with what is needed to use them in the header; the same as student.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from distill.export._base import Artifact, Context, write_text
from distill.modalities.text.preprocessing import TextPreprocessing
from distill.models import Preprocessing, save
from distill.types import Architecture


def metadata(context: Context) -> dict[str, str]:
    """The header of this run's student."""
    recipe, share = context.report["recipe"], context.report["student"]["accuracy"]
    return header(context.architecture, context.classes, context.preprocessing, recipe, share, context.native)


def header(
    architecture: Architecture,
    classes: Sequence[str],
    preprocessing: Preprocessing | TextPreprocessing,
    recipe: str,
    accuracy: dict[str, Any],
    native: tuple[int, int] | None,
) -> dict[str, str]:
    """The safetensors header: every value a JSON text. `distill.student.load_student` reads it back."""
    found = {
        "architecture": architecture.model_dump_json(),
        "classes": json.dumps(list(classes)),
        "preprocessing": json.dumps(asdict(preprocessing)),
        "recipe": json.dumps(recipe),
        "accuracy": json.dumps(accuracy),
    }
    return found if isinstance(preprocessing, TextPreprocessing) else found | {"native": json.dumps(native)}


def export(context: Context, folder: Path) -> list[Artifact]:
    told = metadata(context)
    if context.tokens is not None:
        from distill.export._language import student  # transformers is an optional part

        return student(context, folder, told)
    save(context.student, folder / "student.safetensors", told)
    described = json.dumps({key: json.loads(value) for key, value in told.items()}, indent=2)
    return [
        Artifact("student.safetensors", folder / "student.safetensors", "application/x-safetensors"),
        write_text(folder, "student.json", described + "\n", "application/json"),
    ]


ENTRY = export
