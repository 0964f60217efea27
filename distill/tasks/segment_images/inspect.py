"""Images with a mask each."""

from __future__ import annotations

from typing import Any

from distill.data.limits import DEFAULT
from distill.errors import InvalidDataset
from distill.tasks.inspection import Likeness, Room
from distill.tasks.segment_images.kinds import recognises
from distill.tasks.segment_images.report import inspect as inspect_masks
from distill.types import DatasetInput


def recognise(dataset: DatasetInput) -> Likeness:
    """Sure where images lie beside masks of the same names, or a parquet file has a column of encoded masks."""
    try:
        return Likeness.SURE if recognises(dataset, DEFAULT, None) else Likeness.NO
    except InvalidDataset:  # no archive that can be opened: what is wrong with it, its reader says
        return Likeness.NO


def inspect(dataset: DatasetInput, room: Room) -> dict[str, Any]:
    return inspect_masks(dataset, scratch=room.scratch, sheet=room.sheet).to_dict()
