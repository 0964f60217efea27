"""What a dataset for detection is, looked at once when it is registered. Torch-free."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from distill.data.limits import DEFAULT, Limits
from distill.modalities.images.described import described, thorough
from distill.modalities.images.sheet import Sheet
from distill.tasks.detect_objects.opening import Raw, Split, open_raw
from distill.tasks.detect_objects.palette import Colour, colours
from distill.tasks.detect_objects.sheet import contact_sheet
from distill.types import DatasetInput

SMALL, LARGE = 32**2, 96**2
"""COCO's areas in square pixels: an object below the first is small, one of the second or more is large."""


@dataclass(frozen=True, slots=True)
class DetectionReport:
    """By split (`train`, `test`, and `validation` where the dataset names one beside a test split): `counts`, its
    number of images (one number: an image has several classes); `boxes` and `images_with`, boxes of each class and
    images that have one, in class order; `ignored`, boxes that are neither learnt nor judged (crowds, difficult ones);
    `areas`, how many boxes are small, medium and large by COCO's areas; `background`, images without a box; `most`, the
    most boxes of an image.

    `palette`: a colour a class. `heights`, `widths`: (minimum, median, maximum) in pixels. `modes`: grey and coloured
    images. `verified`: images that were decoded whole. `corrupt`: how many images cannot be read, with the first 20.
    `faults`: kind of fault -> how many boxes have it, of `written` boxes in the files; `fault_examples`: the first 20
    by name. `duplicates_between_splits`: test images whose content is among the training images. `thumbnails`: how the
    contact sheet is laid out."""

    name: str
    classes: tuple[str, ...]
    palette: tuple[Colour, ...]
    counts: dict[str, list[int]]
    boxes: dict[str, list[int]]
    images_with: dict[str, list[int]]
    ignored: dict[str, int]
    areas: dict[str, dict[str, int]]
    background: dict[str, int]
    most: dict[str, int]
    heights: tuple[int, int, int]
    widths: tuple[int, int, int]
    modes: dict[str, int]
    verified: int
    corrupt: int
    corrupt_examples: dict[str, str]
    written: int
    faults: dict[str, int]
    fault_examples: dict[str, tuple[str, ...]]
    duplicates_between_splits: int
    digest: str
    notes: tuple[str, ...]
    thumbnails: Sheet | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable."""
        return asdict(self)


def inspect(
    dataset: DatasetInput, limits: Limits = DEFAULT, scratch: Path | None = None, sheet: Path | None = None
) -> DetectionReport:
    """Open and look at every image and box, decoding up to 2e10 pixels of images a split; where `sheet` names a file,
    write a contact sheet there. Raises `InvalidDataset`."""
    raw = open_raw(dataset, thorough(limits), scratch)
    found = report(raw)
    return found if sheet is None else replace(found, thumbnails=contact_sheet(raw, sheet))


def report(raw: Raw) -> DetectionReport:
    """Describe an opened dataset."""
    splits, count = raw.splits, len(raw.classes)
    by_class = {name: split.objects.counts(count) for name, split in splits.items()}
    return DetectionReport(
        name=raw.name,
        classes=raw.classes,
        palette=colours(count),
        counts={name: [len(split)] for name, split in splits.items()},
        boxes={name: found.sum(0).tolist() for name, found in by_class.items()},
        images_with={name: (found > 0).sum(0).tolist() for name, found in by_class.items()},
        ignored={name: int(split.objects.boxes.ignored.sum()) for name, split in splits.items()},
        areas={name: _areas(split) for name, split in splits.items()},
        background={name: int((found.sum(1) == 0).sum()) for name, found in by_class.items()},
        most={name: int(found.sum(1).max()) for name, found in by_class.items()},
        **described(splits, raw.corrupt),
        verified=raw.verified,
        written=raw.boxes,
        faults={kind: fault.count for kind, fault in raw.faults.items()},
        fault_examples={kind: tuple(fault.first) for kind, fault in raw.faults.items() if fault.first},
        digest=raw.digest,
        notes=raw.notes,
    )


def _areas(split: Split) -> dict[str, int]:
    areas = split.objects.boxes.areas
    small, large = int((areas < SMALL).sum()), int((areas >= LARGE).sum())
    return {"small": small, "medium": len(areas) - small - large, "large": large}
