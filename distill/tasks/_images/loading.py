"""What a student's file says of itself, checked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from distill.errors import InvalidTeacher
from distill.models import Preprocessing
from distill.recorded import read_view
from distill.safetensors_header import read_header
from distill.types import Architecture


@dataclass(frozen=True)
class Header:
    """`metadata`: all of the file's header, as texts; `native`: None too for a header of an earlier release."""

    architecture: Architecture
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    native: tuple[int, int] | None
    metadata: dict[str, str]


def header_of(path: Path) -> Header:
    """Raises `InvalidTeacher` for a file that no Retort run wrote."""
    metadata = read_header(path).metadata
    try:
        architecture = Architecture.model_validate_json(metadata["architecture"])
        classes = tuple(str(name) for name in json.loads(metadata["classes"]))
    except (KeyError, ValueError, TypeError) as error:
        raise InvalidTeacher(
            f"{path.name} was not written by Retort: its header lacks {error}.",
            "Load it with distill.models.load, naming the architecture.",
        ) from error
    how = Preprocessing(**read_view(metadata.get("preprocessing", "")))
    return Header(architecture, classes, how, _native(metadata.get("native", "null")), metadata)


def _native(text: str) -> tuple[int, int] | None:
    try:
        height, width = json.loads(text)
        return int(height), int(width)
    except (ValueError, TypeError):
        return None
