"""From boxes as they are written to `Boxes`: held against their images, clipped, and what is none left out by name.

Torch-free.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from distill.tasks.detect_objects.boxes import Boxes
from distill.tasks.detect_objects.units import Flags, Numbers, Pixels, in_pixels
from distill.tasks.detect_objects.written import SHOWN, Form, LeftOut, Written

TOLERANCE = 0.05
"""Pixels by which a box may end beyond its image without being called clipped: what is written with a few decimals."""
_UNIT = "Write all boxes in one unit."
_CHECK = "Look at these boxes; x1 is left of x2 and y1 above y2, in pixels of the image as it is stored."


@dataclass(frozen=True, slots=True)
class Settled:
    """`boxes`: of all images of a split, one after another; image i has those from `starts[i]` to `starts[i + 1]`."""

    boxes: Boxes
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def of(self, i: int) -> Boxes:
        """The boxes of image i."""
        return self.boxes.pick(np.arange(self.starts[i], self.starts[i + 1]))

    def pick(self, images: NDArray[np.int64]) -> Settled:
        """Some of the images, in this order."""
        counts = np.diff(self.starts)[images]
        spans = [np.arange(self.starts[i], self.starts[i + 1]) for i in images.tolist()]
        places = np.concatenate([np.zeros(0, np.int64), *spans])
        return Settled(self.boxes.pick(places), np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))

    def counts(self, classes: int, kept: Flags | None = None) -> NDArray[np.int64]:
        """(m, C): how many boxes of each class each image has; of those of a mask alone where one is given."""
        image = np.repeat(np.arange(len(self)), np.diff(self.starts))
        labels = self.boxes.classes
        image, labels = (image, labels) if kept is None else (image[kept], labels[kept])
        flat = np.bincount(image * classes + labels, minlength=len(self) * classes)
        return flat.reshape(len(self), classes).astype(np.int64)


@dataclass
class Fault:
    """How many boxes something is the matter with, and the first of them as `image: box k`, k from 1."""

    what: str
    remedy: str = ""
    count: int = 0
    first: list[str] = field(default_factory=list)

    def left_out(self, total: int) -> LeftOut:
        return LeftOut(self.what, self.count, self.first, total, self.remedy)


class Faults(dict[str, Fault]):
    """What may be the matter with boxes, by kind. Clipped ones end at the image's edge and doubled ones stay as they
    are; the others are left out."""

    def __init__(self) -> None:
        other = "shares of the image's sides among pixels, or pixels among shares"
        super().__init__(
            not_finite=Fault("boxes have a number that is none (NaN, infinity) and were left out", _CHECK),
            other_unit=Fault(f"boxes are in another unit than the others ({other}) and were left out", _UNIT),
            inverted=Fault("boxes have x2 left of x1 or y2 above y1 and were left out", _CHECK),
            outside=Fault("boxes lie outside of their image and were left out", f"{_CHECK} Were images scaled?"),
            empty=Fault("boxes have no area and were left out"),
            clipped=Fault("boxes ended beyond their image and were clipped"),
            doubled=Fault("boxes have the class and the corners of another one of their image, and were kept"),
        )


def settle(
    parts: Sequence[tuple[Written, NDArray[np.int64], Callable[[int], str]]], form: Form
) -> tuple[list[Settled], Faults, list[str]]:
    """Of each split, whose images have the sizes (m, 2) height and width, and names. With what was the matter, and
    notes on how numbers were read. Raises `InvalidDataset`."""
    numbers = [Numbers(written.corners, _sides(sizes)[written.image]) for written, sizes, _ in parts]
    pixels, notes = in_pixels(numbers, form)
    faults = Faults()
    settled = [
        _settled(written, found, number.sides, len(sizes), faults, name)
        for (written, sizes, name), found, number in zip(parts, pixels, numbers, strict=True)
    ]
    return settled, faults, notes


def _sides(sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """(m, 2) height, width -> (m, 4) width, height, width, height."""
    return np.tile(sizes[:, ::-1], 2).astype(np.float64)


def _settled(
    written: Written,
    pixels: Pixels,
    sides: NDArray[np.float64],
    images: int,
    faults: Faults,
    name: Callable[[int], str],
) -> Settled:
    def tell(kind: str, flags: Flags) -> None:
        faults[kind].count += int(flags.sum())
        faults[kind].first += _named(written.image, flags, name)[: SHOWN - len(faults[kind].first)]

    with np.errstate(invalid="ignore"):
        low, high = pixels.corners[:, :2], pixels.corners[:, 2:]
        finite = np.isfinite(pixels.corners).all(1)
        inverted = (high < low).any(1)
        outside = (high <= 0).any(1) | (low >= sides[:, :2]).any(1)
        beyond = (low < -TOLERANCE).any(1) | (high > sides[:, 2:] + TOLERANCE).any(1)
        corners = np.clip(pixels.corners, 0, sides).astype(np.float32)
    empty = (corners[:, 2:] <= corners[:, :2]).any(1)
    kept = np.ones(len(written), np.bool_)
    for kind, flags in (
        ("not_finite", ~finite), ("other_unit", pixels.foreign), ("inverted", inverted),
        ("outside", outside & (high > low).all(1)), ("empty", empty),
    ):  # fmt: skip
        tell(kind, flags & kept)
        kept &= ~flags
    tell("clipped", beyond & kept)
    order = np.flatnonzero(kept)[np.argsort(written.image[kept], kind="stable")]
    boxes = _boxes(written, corners, order)
    tell("doubled", _doubled(written.image[order], boxes, order, len(written)))
    counts = np.bincount(written.image[order], minlength=images)
    return Settled(boxes, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))


def _boxes(written: Written, corners: NDArray[np.float32], order: NDArray[np.int64]) -> Boxes:
    found = corners[order]
    own = (found[:, 2] - found[:, 0]) * (found[:, 3] - found[:, 1])
    stated = written.areas[order]
    areas = np.where(np.isnan(stated), own, stated).astype(np.float32)
    return Boxes(found, written.labels[order], written.ignored[order], written.crowd[order], areas)


def _doubled(image: NDArray[np.int64], boxes: Boxes, order: NDArray[np.int64], count: int) -> Flags:
    """Of the boxes as written: those of the same image, class and corners as one before."""
    rows = np.column_stack([image, boxes.classes, boxes.corners.astype(np.float64)])
    _, first = np.unique(rows, axis=0, return_index=True)
    again = np.ones(len(order), np.bool_)
    again[first] = False
    found = np.zeros(count, np.bool_)
    found[order[again]] = True
    return found


def _named(image: NDArray[np.int64], flags: Flags, name: Callable[[int], str]) -> list[str]:
    """What a user finds the first of these boxes by."""
    shown = np.flatnonzero(flags)[:SHOWN].tolist()
    return [f"{name(int(image[i]))}: box {int((image[: i + 1] == image[i]).sum())}" for i in shown]
