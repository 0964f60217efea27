"""Images with a box and a class for each object."""

from __future__ import annotations

from typing import Any

from distill.data.limits import DEFAULT
from distill.errors import InvalidDataset
from distill.tasks.detect_objects.kinds import likeness
from distill.tasks.detect_objects.report import inspect as inspect_boxes
from distill.tasks.inspection import Likeness, Room
from distill.types import DatasetInput


def recognise(dataset: DatasetInput) -> Likeness:
    """Sure where annotations of boxes lie among images, or a parquet file has a column of them; beside masks it is for
    whoever registers the files to say that their boxes are meant."""
    try:
        return likeness(dataset, DEFAULT, None)
    except InvalidDataset:  # no archive that can be opened: what is wrong with it, its reader says
        return Likeness.NO


def inspect(dataset: DatasetInput, room: Room) -> dict[str, Any]:
    return inspect_boxes(dataset, scratch=room.scratch, sheet=room.sheet).to_dict()
