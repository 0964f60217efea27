"""Images with a class each: whatever the readers of images take (`distill.modalities.images.kinds`)."""

from __future__ import annotations

from typing import Any

from distill.modalities.images import sets
from distill.modalities.images.kinds import names
from distill.modalities.images.report import inspect as inspect_images
from distill.tasks.inspection import Likeness, Room
from distill.types import DatasetInput


def recognise(dataset: DatasetInput) -> Likeness:
    """Never sure: an archive with folders, or a table, may be laid out for another task."""
    return Likeness.MAYBE if dataset.kind in names() else Likeness.NO


def named() -> list[dict[str, Any]]:
    return [{"name": name, "summary": sets.registry.summary(name.replace("-", "_"))} for name in sets.names()]


def inspect(dataset: DatasetInput, room: Room) -> dict[str, Any]:
    return inspect_images(dataset, scratch=room.scratch, sheet=room.sheet).to_dict()
