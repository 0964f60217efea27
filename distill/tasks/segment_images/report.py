"""What a dataset for segmentation is, looked at once when it is registered. Torch-free."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from distill.data.limits import DEFAULT, Limits
from distill.modalities.images.described import EXAMPLES, described, first, thorough
from distill.modalities.images.sheet import Sheet
from distill.tasks.segment_images.legend import Colour
from distill.tasks.segment_images.opening import Raw, Split, open_raw
from distill.tasks.segment_images.sheet import contact_sheet
from distill.types import DatasetInput


@dataclass(frozen=True, slots=True)
class SegmentationReport:
    """`counts`: split -> its number of images (one number: an image has several classes). `images_with`: split ->
    images that have each class; `pixel_shares`: split -> each class's share of the labelled pixels, in class order;
    `unlabelled`: split -> share of all pixels without a class. `palette`: a colour a class.

    `heights`, `widths`: (minimum, median, maximum) in pixels. `modes`: grey and coloured images. `verified`: images
    that were decoded whole (masks always are). `corrupt`, `other_size`, `unmasked`: how many images cannot be read,
    have a mask of another size, have none; each with the first 20 as `..._examples`. `duplicates_between_splits`: test
    images that are, with their masks, among the training images. `thumbnails`: how the contact sheet is laid out."""

    name: str
    classes: tuple[str, ...]
    palette: tuple[Colour, ...]
    counts: dict[str, list[int]]
    images_with: dict[str, list[int]]
    pixel_shares: dict[str, list[float]]
    unlabelled: dict[str, float]
    heights: tuple[int, int, int]
    widths: tuple[int, int, int]
    modes: dict[str, int]
    verified: int
    corrupt: int
    corrupt_examples: dict[str, str]
    other_size: int
    other_size_examples: dict[str, str]
    unmasked: int
    unmasked_examples: tuple[str, ...]
    duplicates_between_splits: int
    digest: str
    notes: tuple[str, ...]
    thumbnails: Sheet | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable."""
        return asdict(self)


def inspect(
    dataset: DatasetInput, limits: Limits = DEFAULT, scratch: Path | None = None, sheet: Path | None = None
) -> SegmentationReport:
    """Open and look at every image and mask, decoding up to 2e10 pixels of images a split; where `sheet` names a file,
    write a contact sheet there. Raises `InvalidDataset`."""
    raw = open_raw(dataset, thorough(limits), scratch)
    found = report(raw)
    return found if sheet is None else replace(found, thumbnails=contact_sheet(raw, sheet))


def report(raw: Raw) -> SegmentationReport:
    """Describe an opened dataset."""
    splits = {"train": raw.train, "test": raw.test}
    return SegmentationReport(
        name=raw.name,
        classes=raw.classes,
        palette=raw.legend.coloured(),
        counts={name: [len(split)] for name, split in splits.items()},
        images_with={name: (split.pixels > 0).sum(0).tolist() for name, split in splits.items()},
        pixel_shares={name: _shares(split) for name, split in splits.items()},
        unlabelled={name: _unlabelled(split) for name, split in splits.items()},
        **described(splits, raw.corrupt),
        verified=raw.verified,
        other_size=len(raw.other_size),
        other_size_examples=first(raw.other_size),
        unmasked=len(raw.unmasked),
        unmasked_examples=raw.unmasked[:EXAMPLES],
        digest=raw.digest,
        notes=raw.notes,
    )


def _shares(split: Split) -> list[float]:
    counts = split.pixels.sum(0)
    shares: list[float] = (counts / max(1, int(counts.sum()))).tolist()
    return shares


def _unlabelled(split: Split) -> float:
    missing = int(split.unlabelled.sum())
    return missing / (missing + int(split.pixels.sum()))
