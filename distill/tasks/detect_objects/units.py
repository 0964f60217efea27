"""What the numbers of boxes mean: pixels or shares of the image's sides, corners or sizes; told of a whole dataset.

Torch-free. Numbers alone cannot tell everything, so that each choice that they led to stands in the notes:

* a form of `xywh` (Hugging Face) becomes corners where read as sizes more than 1 % of the boxes would end outside of
  their image or have no size, and read as corners no more than 1 % would (**our choice**);
* a form of `told` (tables) or `xywh` is shares where every number lies in 0 to 1 and not all are whole;
* boxes in pixels with all numbers in 0 to 1, and boxes of shares with numbers beyond -1 to 2, are in the other unit:
  they are `foreign` and not used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distill.tasks.detect_objects.written import Form, refuse

Flags = NDArray[np.bool_]
FEW = 0.01
_SLACK_PIXELS, _SLACK_SHARE = 1.0, 0.01


@dataclass(frozen=True, slots=True)
class Numbers:
    """Boxes of a split. corners: (n, 4) as written; sides: (n, 4) width, height, width, height of each one's image in
    pixels."""

    corners: NDArray[np.float64]
    sides: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pixels:
    """corners: (n, 4) float64, x1 y1 x2 y2 in pixels, not yet held against the image. foreign: (n,) bool, boxes that
    are in another unit than the dataset."""

    corners: NDArray[np.float64]
    foreign: Flags


def in_pixels(parts: Sequence[Numbers], form: Form) -> tuple[list[Pixels], list[str]]:
    """Of each split, with notes on what the numbers were taken for. Raises `InvalidDataset` where the format says
    pixels and all boxes are shares, or the other way round."""
    corners = np.concatenate([np.zeros((0, 4)), *(part.corners for part in parts)])
    sides = np.concatenate([np.zeros((0, 4)), *(part.sides for part in parts)])
    finite = np.isfinite(corners).all(1)
    shares, foreign, notes = _shares(corners, finite, form)
    if shares and form != "shares":
        notes.append("All numbers of the boxes lie in 0 to 1: they were read as shares of their images' sides.")
    if form == "xywh":
        corners, said = _corners(corners, finite & ~foreign, np.ones_like(sides) if shares else sides, shares)
        notes += said
    if shares:
        corners = corners * sides
    ends = np.cumsum([len(part.corners) for part in parts])[:-1]
    found = zip(np.split(corners, ends), np.split(foreign, ends), strict=True)
    return [Pixels(*each) for each in found], notes


def _shares(corners: NDArray[np.float64], finite: Flags, form: Form) -> tuple[bool, Flags, list[str]]:
    """Whether the dataset is in shares, and which boxes are in the other unit."""
    with np.errstate(invalid="ignore"):
        small = finite & ((corners >= 0) & (corners <= 1)).all(1)
        suspect = small & (corners % 1 != 0).any(1)
        large = finite & ((corners > 2) | (corners < -1)).any(1)
    every = bool(finite.any()) and bool(small[finite].all()) and bool(suspect.any())
    if form == "shares":
        if finite.any() and large[finite].all():
            remedy = "Divide x and width by the image's width, y and height by its height."
            refuse("all boxes are in pixels, where shares of the image's sides are expected", remedy)
        return True, large, []
    if every and form == "pixels":
        remedy = (
            "Multiply x by each image's width and y by its height, or register the dataset with another box_format."
        )
        refuse("all boxes are shares of their images' sides (0 to 1), where pixels are expected", remedy)
    return every, np.zeros(len(corners), np.bool_) if every else suspect, []


def _corners(
    numbers: NDArray[np.float64], good: Flags, sides: NDArray[np.float64], shares: bool
) -> tuple[NDArray[np.float64], list[str]]:
    """Of x y width height, or of corners that were called so."""
    sizes = numbers.copy()
    sizes[:, 2:] += sizes[:, :2]
    slack = _SLACK_SHARE if shares else _SLACK_PIXELS
    as_sizes, as_corners = (_misfits(each[good], sides[good], slack) for each in (sizes, numbers))
    if as_sizes <= FEW * good.sum() or as_corners > FEW * good.sum():
        return sizes, []
    note = (
        f"The boxes were read as x1 y1 x2 y2: as x y width height {as_sizes:,} of {int(good.sum()):,} would end "
        "outside of their images."
    )
    return numbers, [note]


def _misfits(corners: NDArray[np.float64], sides: NDArray[np.float64], slack: float) -> int:
    """How many boxes have no size, or end outside of their image."""
    empty = (corners[:, 2:] <= corners[:, :2]).any(1)
    outside = (corners < -slack).any(1) | (corners > sides + slack).any(1)
    return int((empty | outside).sum())
