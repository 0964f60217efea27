"""The student's weights as safetensors, with what is needed to use them in the header; the same as student.json."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from distill.export._base import Artifact, Context, write_text
from distill.models import save


def metadata(context: Context) -> dict[str, str]:
    """The safetensors header: every value a JSON text. `distill.student.load_student` reads it back."""
    header = {
        "architecture": context.architecture.model_dump_json(),
        "classes": json.dumps(list(context.classes)),
        "preprocessing": json.dumps(asdict(context.preprocessing)),
        "recipe": json.dumps(context.report["recipe"]),
        "accuracy": json.dumps(context.report["student"]["accuracy"]),
    }
    return header if context.tokens is not None else header | {"native": json.dumps(context.native)}


def export(context: Context, folder: Path) -> list[Artifact]:
    header = metadata(context)
    if context.tokens is not None:
        from distill.export._language import student  # transformers is an optional part

        return student(context, folder, header)
    save(context.student, folder / "student.safetensors", header)
    described = json.dumps({key: json.loads(value) for key, value in header.items()}, indent=2)
    return [
        Artifact("student.safetensors", folder / "student.safetensors", "application/x-safetensors"),
        write_text(folder, "student.json", described + "\n", "application/json"),
    ]


ENTRY = export
