"""Tables whose rows hold images: what was read of each file, and how files become splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from distill.data.labelled import (
    check_role,
    class_names,
    class_notes,
    held_out,
    in_order,
    label_numbers,
    split_notes,
    unused_notes,
)
from distill.data.limits import Limits
from distill.data.row_checks import refuse
from distill.data.split_names import TRAIN, UNLABELLED
from distill.modalities.images.kind import Items, Opened
from distill.modalities.images.sources import Picked, SpanImages


@dataclass
class ImageRows:
    """What was read of one file: images, and a label and a split for each; how many rows were `unlabelled` and so not
    kept; which columns were not read. `names`: classes in the order that the file's metadata give them."""

    role: str
    labels: list[str] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    images: SpanImages | None = None
    unlabelled: int = 0
    unused: tuple[str, ...] = ()
    names: tuple[str, ...] | None = None

    def add(self, label: str, split: str | None, number: int, name: str) -> None:
        """One more row. Raises `InvalidDataset` where its split contradicts the file's role."""
        check_role(self.role, split, number, name)
        self.labels.append(label)
        self.splits.append(split or TRAIN)

    def pick(self, rows: Sequence[int]) -> tuple[Picked, list[str]]:
        assert self.images is not None
        return Picked(self.images, np.array(rows, np.int64)), [self.labels[i] for i in rows]


def opened(files: Mapping[str, ImageRows], limits: Limits) -> Opened:
    """Files by role as splits: a whole one divided by what its rows say, a part as it is."""
    parts = (
        _divided(files["all"])
        if "all" in files
        else {role: file.pick(range(len(file.labels))) for role, file in files.items()}
    )
    if TRAIN not in parts or not parts[TRAIN][1]:
        refuse("it has no rows of the training split", "Send rows of the split train.")
    names = (files.get("all") or files[TRAIN]).names
    classes, notes = in_order(class_names(parts[TRAIN][1], limits), names)
    splits = {split: Items(images, label_numbers(labels, classes, split)) for split, (images, labels) in parts.items()}
    return Opened(classes, splits, (*notes, *_notes(files), *class_notes(classes)))


def _divided(whole: ImageRows) -> dict[str, tuple[Picked, list[str]]]:
    rows: dict[str, list[int]] = {}
    for i, split in enumerate(whole.splits):
        rows.setdefault(split, []).append(i)
    return {split: whole.pick(rows[name]) for name, split in held_out(rows).items() if name in rows}


def _notes(files: Mapping[str, ImageRows]) -> list[str]:
    counts = Counter(files["all"].splits) if "all" in files else Counter[str]()
    if unlabelled := sum(file.unlabelled for file in files.values()):
        counts[UNLABELLED] = unlabelled
    notes = split_notes(counts) if counts else []
    first = files.get("all") or files[TRAIN]
    return [*notes, *unused_notes(first.unused)]
