"""What exporters are given and what they return."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from distill.modalities.text.preprocessing import TextPreprocessing
from distill.models import Preprocessing
from distill.types import Architecture, Event, QCurve


@dataclass(frozen=True)
class Artifact:
    """A file, complete on disk."""

    name: str
    path: Path
    media_type: str

    def event(self) -> Event:
        return Event("artifact", {"name": self.name, "path": str(self.path), "media_type": self.media_type})


class Skipped(Exception):
    """An optional exporter that cannot work here; the message says why."""


@dataclass(frozen=True)
class Context:
    """A finished run. `metrics`: the `data` of its metrics events, in order; `tokens`: a language model's tokenizer;
    `native`: (height, width) of test images that were resized as whole tensors."""

    student: nn.Module
    architecture: Architecture
    classes: tuple[str, ...]
    preprocessing: Preprocessing | TextPreprocessing
    report: dict[str, Any]
    curve: QCurve | None = None
    metrics: list[dict[str, Any]] = field(default_factory=list)
    tokens: Any = None
    native: tuple[int, int] | None = None


def pictures(context: Context) -> Preprocessing:
    """How an image classifier sees; for exporters of such only."""
    assert isinstance(context.preprocessing, Preprocessing)
    return context.preprocessing


def write_text(folder: Path, name: str, text: str, media_type: str) -> Artifact:
    """Write a text file, complete or not at all."""
    path = folder / name
    part = path.with_name(name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
    return Artifact(name, path, media_type)


def class_section(context: Context) -> str:
    """The model card's section of the class names: JSON, since a name may hold anything, commas and Markdown too."""
    names = json.dumps(list(context.classes), ensure_ascii=False)
    return f"## Classes\n\nIn the order of the logits:\n\n```json\n{names}\n```\n"
