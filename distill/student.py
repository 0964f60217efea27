"""A downloaded student in three lines:

from distill.student import load_student
student = load_student("student.safetensors")
print(student.predict(["cat.png", "dog.png"]))
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from distill import tasks
from distill.errors import InvalidTeacher
from distill.predictions import BATCH, Prediction
from distill.safetensors_header import read_header

__all__ = ["BATCH", "Prediction", "load_student"]


def load_student(path: str | Path) -> Any:
    """Load what a Retort run wrote: a `student.safetensors`, or the `student.zip` (or the folder in it) of a language
    model. What comes back is the task's: it has `predict`, and of decoders `answer`. Raises `InvalidTeacher` for any
    other file."""
    path = Path(path)
    packed = path.is_dir() or path.suffix == ".zip"
    metadata = _of_folder(path) if packed else read_header(path).metadata
    return tasks.get(_task(metadata, packed)).load_student(path)


def _of_folder(path: Path) -> dict[str, str]:
    from distill.models.language import open_folder  # transformers is an optional part

    with TemporaryDirectory() as scratch:
        return next(iter(open_folder(path, Path(scratch)).shards.values())).metadata


def _task(metadata: dict[str, str], packed: bool) -> str:
    """The task that the header names. Releases before the tasks wrote none: there a file was an image classifier's,
    and a folder's preprocessing said whether it classifies or generates."""
    try:
        if "task" in metadata:
            name = str(json.loads(metadata["task"]))
        elif packed:
            name = {"classify": "classify_text", "generate": "generate_text"}[
                json.loads(metadata["preprocessing"])["task"]
            ]
        else:
            name = "classify_images"
    except (KeyError, ValueError, TypeError) as error:
        raise InvalidTeacher(
            f"The file was not written by Retort: its header lacks {error}.", "Load it with the library that wrote it."
        ) from error
    if name not in tasks.names():
        raise InvalidTeacher(
            f"The student answers the task {name!r}, which this installation does not know.",
            f"Use a release that has it; here there are {', '.join(tasks.names())}.",
        )
    return name
