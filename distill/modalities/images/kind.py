"""What every kind returns: splits of images with labels, before any image has been looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from distill.data.limits import Limits
from distill.errors import InvalidDataset
from distill.modalities.images.sources import Source
from distill.modalities.images.tree import Layout
from distill.types import DatasetInput


@dataclass(frozen=True, slots=True)
class Items:
    """Images and their labels (int64, n)."""

    images: Source
    labels: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Opened:
    """`splits` has `train` and maybe `test`."""

    classes: tuple[str, ...]
    splits: dict[str, Items]
    notes: tuple[str, ...] = field(default=())


Opener = Callable[[DatasetInput, Limits, Path | None], Opened]


def from_layouts(layouts: Mapping[str, tuple[Layout, Callable[[list[int]], Source]]]) -> Opened:
    """One layout a role (see `paths_of`), each with what makes a source of file positions."""
    first, _ = layouts.get("all") or layouts["train"]
    splits: dict[str, Items] = {}
    notes = list(dict.fromkeys(note for layout, _ in layouts.values() for note in layout.notes))
    for role, (layout, make) in layouts.items():
        for split, files in layout.splits.items():
            if role != "all" and split != "train":
                _check_part(role, layout)
                notes.append(f"Not used: {len(files)} images of the {split} split within the {role} file.")
                continue
            _same_classes(first, layout)
            source = make([file.position for file, _ in files])
            splits[split if role == "all" else role] = Items(source, np.array([label for _, label in files], np.int64))
    return Opened(first.classes, splits, tuple(notes))


def _check_part(role: str, layout: Layout) -> None:
    """Raise `InvalidDataset` for a test file with a training split in it: which of the two is meant is in doubt."""
    if role == "test":
        raise InvalidDataset(
            "The test file holds splits of its own, for training and for testing.",
            "Send class folders of the test split alone; or one file with train/ and test/ as the whole.",
            {"splits": sorted(layout.splits)},
        )


def _same_classes(first: Layout, other: Layout) -> None:
    if first.classes != other.classes:
        odd = sorted(set(first.classes) ^ set(other.classes))
        raise InvalidDataset(
            f"Training and test files have different classes ({', '.join(odd[:3])}).",
            "Give both the same class folders.",
            {"classes": odd[:20]},
        )
