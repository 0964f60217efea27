"""From a `DatasetInput` to splits of images with a row of 0 and 1 each. Torch-free."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill.data import stratify
from distill.data.labelled import check_together, class_notes
from distill.data.limits import DEFAULT, Limits
from distill.data.row_checks import refuse
from distill.data.stratify import HOLD_OUT, HOLD_OUT_SEED
from distill.errors import InvalidDataset
from distill.modalities.images.depth import PixelRange, mark
from distill.modalities.images.kinds import get as kind
from distill.modalities.images.opening import Raw, Split, looked_at
from distill.tasks.tag_images.labelling import LabelSets, SetLabelling
from distill.types import DatasetInput
from distill.unlabelled import NO_LABEL

KINDS = {"archive": "archive", "folder": "archive", "parquet": "parquet", "table": "table"}
"""Kinds of files that tables are read from -> the reader that finds them."""
Hot = NDArray[np.bool_]
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Tagged:
    """An opened dataset. `images`: its images, whose labels are numbers of `sets`."""

    images: Raw
    sets: LabelSets

    def hot(self, split: Split) -> Hot:
        """(n, C): which labels each image of a split has."""
        found: Hot = self.sets.hot[split.labels]
        return found


def open_tagged(dataset: DatasetInput, limits: Limits = DEFAULT, scratch: Path | None = None) -> Tagged:
    """Open, look at every image, leave unreadable ones out, hold out a test split where there is none (20 %, stratified
    by `strata`, seed 0). Raises `InvalidDataset`; then nothing is left behind."""
    if dataset.kind not in KINDS:
        raise InvalidDataset(
            f"A dataset of kind {dataset.kind!r} has one class an image.", "Give an archive, parquet, CSV or JSON.", {}
        )
    labelling = SetLabelling()
    found = kind(KINDS[dataset.kind])(dataset, limits, scratch, labelling)
    for split, items in found.splits.items():
        _check_labelled(split, items.labels)
    sets = labelling.sets(limits)
    check_together(sets.classes)
    seen = looked_at(found.splits, dataset.pixel_range, limits, _called(sets))
    splits, notes = seen.splits, [*found.notes, *seen.corrupt_notes, *seen.range_notes]
    if "test" not in splits:
        splits = _held_out(splits["train"], sets)
        notes.append(
            f"No test split: {HOLD_OUT:.0%} held out, stratified by the rarest label of each image, seed "
            f"{HOLD_OUT_SEED}."
        )
    _check_sides(sets, splits)
    notes += [*class_notes(sets.classes), *_label_notes(sets, splits)]
    about = digest(sets, splits, dataset.pixel_range)
    raw = Raw(
        dataset.name, sets.classes, splits["train"], splits["test"], about, tuple(notes), seen.corrupt, seen.verified
    )
    return Tagged(raw, sets)


def strata(hot: Hot) -> NDArray[np.int64]:
    """(n, C) labels -> (n,) for stratified splits: each image's label that the fewest images have, C for an image
    without one. **Our choice**, the first step of iterative stratification (Sechidis et al. 2011, section 3.2, which
    deals the rarest label's images first) for every image at once: a split that has its share of every rare label has
    near its share of the common ones, which are many."""
    images = hot.sum(0)
    rarest = np.where(hot, images, np.iinfo(np.int64).max).argmin(1).astype(np.int64)
    found: NDArray[np.int64] = np.where(hot.any(1), rarest, hot.shape[1]).astype(np.int64)
    return found


def digest(sets: LabelSets, splits: Mapping[str, Split], between: PixelRange | None = None) -> str:
    """sha256, hex, over class names and, per split in order, every image's labels and content; and the range in which
    16-bit grey is read, where one was given."""
    whole = hashlib.sha256(b"retort label sets 1\n" + json.dumps(sets.classes).encode())
    whole.update(mark(between))
    for name in sorted(splits):
        split = splits[name]
        whole.update(f"\n{name} {len(split)}\n".encode())
        whole.update(np.packbits(sets.hot[split.labels], axis=1).tobytes())
        whole.update(b"".join(split.digests))
    return whole.hexdigest()


def _check_labelled(split: str, labels: NDArray[np.int64]) -> None:
    unlabelled = int((labels == NO_LABEL).sum())
    if unlabelled:
        refuse(
            f"{unlabelled:,} rows are called unlabelled, and multi-label classification learns from labelled images",
            "Take these rows out. An image that has none of the classes is a row with an empty list.",
            split=split,
            unlabelled=unlabelled,
        )


def _held_out(train: Split, sets: LabelSets) -> dict[str, Split]:
    kept, held = stratify.split(strata(sets.hot[train.labels]), HOLD_OUT, HOLD_OUT_SEED)
    return {"train": train.pick(kept), "test": train.pick(held)}


def _check_sides(sets: LabelSets, splits: Mapping[str, Split]) -> None:
    """Raise `InvalidDataset` for a split without an image, or without a label; and for labels of the test split that no
    training image has, unless the files name the classes."""
    hot = {name: sets.hot[split.labels] for name, split in splits.items()}
    for name, rows in hot.items():
        if not len(rows):
            refuse(f"split {name!r} has no images", "Send more images.", split=name)
        if not rows.any():
            refuse(f"no image of the split {name!r} has a label", "Check its rows' labels.", split=name)
    foreign = np.flatnonzero(hot["test"].any(0) & ~hot["train"].any(0)).tolist()
    if foreign and not sets.declared:
        names = [sets.classes[i] for i in foreign]
        shown = ", ".join(f"{sets.classes[i]}: {int(hot['test'][:, i].sum()):,} images" for i in foreign[:3])
        refuse(
            f"split 'test' has labels that the training split lacks ({shown})",
            "Add training images with these labels, or take the labels out of the test split.",
            split="test",
            classes=names[:20],
        )


def _called(sets: LabelSets) -> list[str]:
    """What each set is called in notes."""
    return [", ".join(sets.classes[i] for i in np.flatnonzero(row)) or "no label" for row in sets.hot]


def _label_notes(sets: LabelSets, splits: Mapping[str, Split]) -> list[str]:
    """What the labels hold that may not be meant."""
    notes = []
    if sets.separator is not None:
        notes.append(f"Labels were separated at {sets.separator or ' '!r}.")
    for name, split in splits.items():
        rows = sets.hot[split.labels]
        if none := int((~rows.any(1)).sum()):
            notes.append(
                f"{none:,} of {len(rows):,} {name} images have no label: they count as without any of the classes."
            )
        if doubled := int(sets.doubled[split.labels].sum()):
            notes.append(f"{doubled:,} {name} images name a label twice: it counts once.")
    train, test = (sets.hot[splits[name].labels] for name in ("train", "test"))
    notes += _named(sets, ~train.any(0), "has no training image: a student cannot learn it")
    notes += _named(sets, ~test.any(0), "has no test image: it has no average precision and is left out of the mean")
    notes += _named(sets, train.all(0), "belongs to every training image: there is nothing to tell apart")
    if (train.sum(1) == 1).all():
        notes.append("Every training image has one label alone: classify_images compares such classes with each other.")
    return notes


def _named(sets: LabelSets, which: Any, what: str) -> list[str]:
    names = [sets.classes[i] for i in np.flatnonzero(which)]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return [f"Of {', '.join(names[:_SHOWN])}{more}: it {what}."] if names else []
