"""Tables whose rows hold images: what was read of each file, and how files become splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from distill.data.labelled import check_role, held_out, split_notes, unused_notes
from distill.data.limits import Limits
from distill.data.row_checks import refuse
from distill.data.split_names import PREDICTION, TEST, TRAIN, UNLABELLED
from distill.modalities.images.kind import Items, Opened, joined, without_labels
from distill.modalities.images.labelling import Labelling
from distill.modalities.images.sources import Picked, SpanImages

Part = tuple[Picked, list[str | None]]


@dataclass
class ImageRows:
    """What was read of one file: images, and a label (None: the row has none) and a split for each; `unread`: rows by
    split that were not kept; `disregarded`: rows with a class that the request or their split calls unlabelled; which
    columns were not read. `names`: classes in the order that the file's metadata give them."""

    role: str
    labels: list[str | None] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    images: SpanImages | None = None
    unread: Counter[str] = field(default_factory=Counter)
    disregarded: int = 0
    unused: tuple[str, ...] = ()
    names: tuple[str, ...] | None = None

    def keeps(self, split: str | None) -> bool:
        """Whether a row of this split is used; one that is not is counted."""
        unread = split == PREDICTION or (split == UNLABELLED and self.role == TEST)
        self.unread[split or ""] += unread
        return not unread

    def add(self, label: str | None, split: str | None, number: int, name: str) -> None:
        """One more row. Raises `InvalidDataset` where its split contradicts the file's role."""
        check_role(self.role, split, number, name)
        split = UNLABELLED if self.role == UNLABELLED else TEST if self.role == TEST else split or TRAIN
        self.disregarded += split == UNLABELLED and label is not None
        self.labels.append(None if split == UNLABELLED else label)
        self.splits.append(UNLABELLED if split == TRAIN and label is None else split)

    def parts(self) -> dict[str, Part]:
        """The images that are used, by split: `train`, `unlabelled`, maybe `test`."""
        rows: dict[str, list[int]] = {}
        for i, split in enumerate(self.splits):
            rows.setdefault(split, []).append(i)
        used = held_out(rows) | {UNLABELLED: UNLABELLED}
        return {split: self._pick(rows[name]) for name, split in used.items() if name in rows}

    def _pick(self, rows: Sequence[int]) -> Part:
        assert self.images is not None
        return Picked(self.images, np.array(rows, np.int64)), [self.labels[i] for i in rows]


def opened(files: Mapping[str, ImageRows], limits: Limits, labelling: Labelling) -> Opened:
    """Files by role as splits: a whole one divided by what its rows say, a part as it is."""
    found: dict[str, list[Part]] = {}
    for file in files.values():
        for split, part in file.parts().items():
            found.setdefault(split, []).append(part)
    unlabelled = joined([without_labels(images) for images, _ in found.pop(UNLABELLED, [])])
    labelled = {split: part for split, (part,) in found.items()}
    if TRAIN not in labelled:
        return _without_classes(labelled, unlabelled, _notes(files))
    names = next(iter(files.values())).names
    for split, part in labelled.items():
        _check_known(part, split)
    numbered = labelling.numbered({split: list(_known(part)) for split, part in labelled.items()}, limits, names)
    splits = {split: Items(images, numbered.numbers[split]) for split, (images, _) in labelled.items()}
    splits[TRAIN] = joined([splits[TRAIN], unlabelled])
    return Opened(numbered.classes, splits, (*numbered.notes, *_notes(files), *numbered.after))


def _without_classes(labelled: Mapping[str, Part], unlabelled: Items, notes: Sequence[str]) -> Opened:
    """No training row has a class. Raises `InvalidDataset` where test rows have one, and where there is nothing."""
    if any(any(_known(part)) for part in labelled.values()):
        refuse(
            "rows of its test split have classes, and no row of the training split has one",
            "Give training rows classes; or register the rows with classes by themselves and name them as a job's "
            "`probe`.",
        )
    if not len(unlabelled.labels):
        refuse("it has no rows of the training split", "Send rows of the split train.")
    held = {split: without_labels(images) for split, (images, _) in labelled.items()}
    return Opened((), {TRAIN: unlabelled} | held, tuple(notes))


def _check_known(part: Part, split: str) -> None:
    """Raise `InvalidDataset` for a row without a label."""
    images, labels = part
    for i, label in enumerate(labels):
        if label is None:
            refuse(
                f"{images.name(i)}, of the split {split!r}, has no class",
                "Give the row a class, or take it out: what is tested needs one. Rows of the training split may lack "
                "it.",
                row=images.name(i),
            )


def _known(part: Part) -> Iterable[str]:
    return (label for label in part[1] if label is not None)


def _notes(files: Mapping[str, ImageRows]) -> list[str]:
    counts = Counter(files["all"].splits) if "all" in files else Counter[str]({TRAIN: 1})
    for file in files.values():
        counts += file.unread
    del counts[UNLABELLED]
    first = next(iter(files.values()))
    disregarded = sum(file.disregarded for file in files.values())
    said = [f"The classes of {disregarded:,} rows that are called unlabelled were not read."] if disregarded else []
    unread = sum(file.unread[UNLABELLED] for file in files.values())
    said += [f"Not used: {unread:,} rows of the test part that are called unlabelled."] if unread else []
    return [*split_notes(counts), *said, *unused_notes(first.unused)]
