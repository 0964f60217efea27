"""Tables of labelled texts or pairs of texts."""

from __future__ import annotations

from typing import Any

from distill.modalities.text.recognise import as_text, kind_of
from distill.modalities.text.report import inspect_text
from distill.tasks.inspection import Likeness, Room
from distill.types import DatasetInput


def recognise(dataset: DatasetInput) -> Likeness:
    return Likeness.SURE if kind_of(dataset) == "classify" else Likeness.NO


def inspect(dataset: DatasetInput, room: Room) -> dict[str, Any]:
    return inspect_text(as_text(dataset)).to_dict()
