"""A student's backbone, a projector and a teacher's last layers as one file: what its header says, and how it is read.

The file holds the tensors of the layers that run, named `student.*`, `projector.*` and `teacher.*`.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors.torch

from distill.errors import InvalidTeacher, RetortError
from distill.export import Context
from distill.models import Preprocessing, build
from distill.recipe_parts.composite import Composite, Seam
from distill.recipes.simkd import projector
from distill.tasks._images.loading import Header
from distill.types import Architecture

ENTRY = "composite"


def told(context: Context) -> dict[str, Any]:
    """The header's entry of a composite; {} for other networks."""
    if not isinstance(context.student, Composite):
        return {}
    architecture, how = context.teacher.architecture, context.teacher.preprocessing
    teacher = {"architecture": architecture.model_dump(), "preprocessing": asdict(how)}
    return {ENTRY: {"teacher": teacher, "seam": asdict(context.student.seam)}}


def load_composite(said: Header, path: Path) -> Composite:
    """Raises `InvalidTeacher` for a file whose header and tensors do not fit together."""
    try:
        made = _built(said)
        made.load_state_dict(safetensors.torch.load_file(path))
    except RetortError:
        raise
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InvalidTeacher(
            f"{path.name} is no composite network of Retort: {error}.", "Use the file as the job wrote it."
        ) from error
    return made.requires_grad_(False)


def _built(said: Header) -> Composite:
    entry, outputs = json.loads(said.metadata[ENTRY]), len(said.classes)
    given, how = (
        Architecture(**entry["teacher"]["architecture"]),
        Preprocessing(**_tuples(entry["teacher"]["preprocessing"])),
    )
    seam = Seam(**_tuples(entry["seam"]))
    student = build(said.architecture, outputs, said.preprocessing.channels, said.preprocessing.size)
    teacher = build(given, outputs, how.channels, how.size).requires_grad_(False).eval()
    made = Composite(student, projector(seam.common, seam.rectified), teacher, seam, how.example(2))
    return made.prune(said.preprocessing.example(2))


def _tuples(fields: dict[str, Any]) -> dict[str, Any]:
    """JSON has lists for tuples."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
