"""What a dataset is, looked at once when it is registered. Torch-free."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from distill.class_weights import skew
from distill.data.limits import DEFAULT, Limits
from distill.modalities.images.described import described, thorough
from distill.modalities.images.opening import Raw, open_raw
from distill.modalities.images.sheet import Sheet, contact_sheet
from distill.types import DatasetInput
from distill.warned import RunWarning


@dataclass(frozen=True, slots=True)
class DatasetReport:
    """`counts`: split -> images per class, in class order; `without_label`: split -> images without one. `classes` is
    empty where no image has one. `heights`, `widths`: (minimum, median, maximum) in pixels.
    `modes`: how many images are grey and how many coloured. `verified`: images that were decoded whole; the others had
    only their headers read. `corrupt`: how many cannot be read, `corrupt_examples` the first 20 with the reason.
    `duplicates_between_splits`: test images whose content is among the training images (they inflate scores).
    `warnings`: what is probably wrong with it. `thumbnails`: how the contact sheet is laid out, where one was asked
    for."""

    name: str
    classes: tuple[str, ...]
    counts: dict[str, list[int]]
    heights: tuple[int, int, int]
    widths: tuple[int, int, int]
    modes: dict[str, int]
    verified: int
    corrupt: int
    corrupt_examples: dict[str, str]
    duplicates_between_splits: int
    digest: str
    notes: tuple[str, ...]
    thumbnails: Sheet | None = None
    without_label: dict[str, int] = field(default_factory=dict)
    warnings: tuple[RunWarning, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable."""
        return asdict(self)


def inspect(
    dataset: DatasetInput, limits: Limits = DEFAULT, scratch: Path | None = None, sheet: Path | None = None
) -> DatasetReport:
    """Open and look at every image, decoding up to 2e10 pixels a split; where `sheet` names a file, write a contact
    sheet (PNG or WebP) there. Raises `InvalidDataset`, `UnknownName`."""
    raw = open_raw(dataset, thorough(limits), scratch)
    found = describe(raw)
    return found if sheet is None else replace(found, thumbnails=contact_sheet(raw, sheet))


def describe(raw: Raw) -> DatasetReport:
    """Describe an opened dataset."""
    splits = {"train": raw.train, "test": raw.test}
    counts = {name: split.counts(len(raw.classes)).tolist() for name, split in splits.items()}
    skewed = skew(counts["train"], raw.classes, "images")
    return DatasetReport(
        name=raw.name,
        classes=raw.classes,
        counts=counts,
        **described(splits, raw.corrupt),
        verified=raw.verified,
        digest=raw.digest,
        notes=raw.notes,
        without_label={name: split.unlabelled for name, split in splits.items()},
        warnings=(skewed,) if skewed else (),
    )
