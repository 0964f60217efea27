"""What every kind returns: splits of images with labels, before any image has been looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from distill.data.limits import Limits
from distill.data.split_names import TEST, TRAIN, UNLABELLED
from distill.errors import InvalidDataset
from distill.modalities.images.labelling import Labelling
from distill.modalities.images.sources import Joined, Nothing, Source
from distill.modalities.images.tree import Layout
from distill.types import DatasetInput
from distill.unlabelled import NO_LABEL


@dataclass(frozen=True, slots=True)
class Items:
    """Images and their labels (int64, n), `NO_LABEL` where an image has none."""

    images: Source
    labels: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Opened:
    """`splits` has `train` and maybe `test`. `classes` is empty where no image has a label; else every test image has
    one, and of the training images those without one come last."""

    classes: tuple[str, ...]
    splits: dict[str, Items]
    notes: tuple[str, ...] = field(default=())


Opener = Callable[[DatasetInput, Limits, Path | None, Labelling], Opened]


def without_labels(images: Source) -> Items:
    return Items(images, np.full(len(images), NO_LABEL, np.int64))


def joined(parts: Sequence[Items]) -> Items:
    """The images of all parts, in their order."""
    held = [part for part in parts if len(part.labels)]
    if not held:
        return Items(Nothing(), np.zeros(0, np.int64))
    return reduce(lambda a, b: Items(Joined(a.images, b.images), np.concatenate([a.labels, b.labels])), held)


def from_layouts(layouts: Mapping[str, tuple[Layout, Callable[[list[int]], Source]]]) -> Opened:
    """One layout a role (see `paths_of`), each with what makes a source of file positions."""
    first, _ = next(layouts[role] for role in ("all", TRAIN, UNLABELLED) if role in layouts)
    found: dict[str, list[Items]] = {TRAIN: []}
    notes = list(dict.fromkeys(note for layout, _ in layouts.values() for note in layout.notes))
    unlabelled: list[Items] = []
    for role, (layout, make) in layouts.items():
        if role != UNLABELLED:
            _same_classes(first, layout)
        for split, files in layout.splits.items():
            if _not_of(role, split):
                _check_part(role, layout)
                notes.append(f"Not used: {len(files)} images of the {split} split within the {role} file.")
                continue
            source = make([file.position for file, _ in files])
            part = Items(source, np.array([label for _, label in files], np.int64))
            target = split if role == "all" else role
            (unlabelled if UNLABELLED in (split, role) else found.setdefault(target, [])).append(part)
    found[TRAIN] += unlabelled
    return Opened(first.classes, {split: joined(parts) for split, parts in found.items()}, tuple(notes))


def _not_of(role: str, split: str) -> bool:
    """Whether images of a split within a file of this role are not used: of a part only what is for training is, and of
    the training part what has no labels too."""
    return role != "all" and split != TRAIN and (split != UNLABELLED or role == TEST)


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
