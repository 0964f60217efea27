"""Pictures in folders that are named by numbers; only where the task is asked for by name."""

from __future__ import annotations

from typing import Any

from distill.errors import InvalidDataset
from distill.modalities.images.report import inspect as inspect_images
from distill.tasks.inspection import Likeness, Room
from distill.types import DatasetInput


def recognise(dataset: DatasetInput) -> Likeness:
    return Likeness.SURE if dataset.task == "regress_images" else Likeness.NO


def numbers(names: tuple[str, ...]) -> list[float]:
    try:
        return [float(name) for name in names]
    except ValueError as error:
        raise InvalidDataset(f"A folder's name is no number: {error}.", "Name every folder by its value.") from error


def inspect(dataset: DatasetInput, room: Room) -> dict[str, Any]:
    report = inspect_images(dataset, scratch=room.scratch, sheet=room.sheet).to_dict()
    numbers(tuple(report["classes"]))
    return report
