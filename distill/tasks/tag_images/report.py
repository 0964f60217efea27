"""What a dataset of images with several labels is, looked at once when it is registered. Torch-free."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from distill.data.limits import DEFAULT, Limits
from distill.modalities.images.described import thorough
from distill.modalities.images.opening import Raw
from distill.modalities.images.report import describe
from distill.modalities.images.sheet import CLASSES, Sheet, sheet_of
from distill.tasks.tag_images.opening import Hot, Tagged, open_tagged
from distill.types import DatasetInput
from distill.unlabelled import NO_LABEL


def inspect(
    dataset: DatasetInput, limits: Limits = DEFAULT, scratch: Path | None = None, sheet: Path | None = None
) -> dict[str, Any]:
    """The report on images (`distill.modalities.images.report.DatasetReport`), in which `counts` has one number a
    split, its images, since an image has several classes. Beside it `images_with`: split -> images that have each
    class, in class order; `labels_per_image`: split -> mean and most labels of an image, images with none, and images
    whose list names one twice; `never`, `always`: classes that no training image has, or every one. Where `sheet` names
    a file, write a contact sheet there. Raises `InvalidDataset`."""
    found = open_tagged(dataset, thorough(limits), scratch)
    return described(found) | {"thumbnails": None if sheet is None else asdict(contact_sheet(found, sheet))}


def described(found: Tagged) -> dict[str, Any]:
    splits = {"train": found.images.train, "test": found.images.test}
    hot, classes = {name: found.hot(split) for name, split in splits.items()}, found.sets.classes
    train = hot["train"]
    return describe(_alone(found.images)).to_dict() | {
        "classes": classes,
        "without_label": dict.fromkeys(splits, 0),
        "counts": {name: [len(rows)] for name, rows in hot.items()},
        "images_with": {name: rows.sum(0).tolist() for name, rows in hot.items()},
        "labels_per_image": {
            name: _spread(rows) | {"doubled": int(found.sets.doubled[splits[name].labels].sum())}
            for name, rows in hot.items()
        },
        "never": [classes[i] for i in np.flatnonzero(~train.any(0))],
        "always": [classes[i] for i in np.flatnonzero(train.all(0))],
    }


def _alone(raw: Raw) -> Raw:
    """The images without what their label numbers mean: sets, which are no classes to count."""
    train, test = (replace(split, labels=np.full_like(split.labels, NO_LABEL)) for split in (raw.train, raw.test))
    return replace(raw, classes=(), train=train, test=test)


def _spread(hot: Hot) -> dict[str, Any]:
    counts = hot.sum(1)
    return {"mean": float(counts.mean()), "most": int(counts.max()), "none": int((counts == 0).sum())}


def contact_sheet(found: Tagged, path: Path) -> Sheet:
    """A row for each of the first 50 classes, with the first 8 training images that have it; the last row, where there
    are images without a label, the first of those."""
    hot = found.hot(found.images.train)
    rows = [np.flatnonzero(hot[:, i]) for i in range(min(CLASSES, hot.shape[1]))]
    none = np.flatnonzero(~hot.any(1))
    return sheet_of(found.images, [*rows, *([none] if len(none) else [])], path)
