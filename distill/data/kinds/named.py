"""A known dataset that this machine has, by its name."""

from __future__ import annotations

from pathlib import Path

from distill.data import sets
from distill.data.images import ArrayImages
from distill.data.kinds._base import Items, Opened
from distill.data.limits import Limits
from distill.types import DatasetInput


def open_named(dataset: DatasetInput, _: Limits, __: Path | None) -> Opened:
    """Open the set `dataset.name` of `distill.data.sets`. Raises `UnknownName`, and `InvalidDataset` where its files
    are not on this machine."""
    found = sets.get(dataset.name)()
    splits = {
        split: Items(ArrayImages(pixels, f"{dataset.name} {split}"), labels)
        for split, (pixels, labels) in found.splits.items()
    }
    return Opened(found.classes, splits, found.notes)


ENTRY = open_named
