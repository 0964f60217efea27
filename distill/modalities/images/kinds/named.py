"""A known dataset that this machine has, by its name."""

from __future__ import annotations

from pathlib import Path

from distill.data.limits import Limits
from distill.modalities.images import sets
from distill.modalities.images.kind import Items, Opened
from distill.modalities.images.labelling import ONE_CLASS, Labelling
from distill.modalities.images.sources import ArrayImages
from distill.types import DatasetInput


def open_named(dataset: DatasetInput, _: Limits, __: Path | None, ___: Labelling = ONE_CLASS) -> Opened:
    """Open the set `dataset.name` of `distill.modalities.images.sets`. Raises `UnknownName`, and `InvalidDataset` where
    its files are not on this machine."""
    found = sets.get(dataset.name)()
    splits = {
        split: Items(ArrayImages(pixels, f"{dataset.name} {split}"), labels)
        for split, (pixels, labels) in found.splits.items()
    }
    return Opened(found.classes, splits, found.notes)


ENTRY = open_named
