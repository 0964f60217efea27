"""Boxes as annotation files have them, before they are held against their images. Torch-free."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

from distill.data.labelled import bad_name, ordered
from distill.errors import InvalidDataset
from distill.modalities.images.sources import Source

MOST_BOXES = 20_000_000
MOST_OF_AN_IMAGE = 10_000
"""Boxes of one image; COCO has up to 93."""
SHOWN = 20
"""Examples by name that a report has of each thing that is the matter."""
NAME_LENGTH, MESSAGE_LENGTH = 120, 1000
"""Characters of a name, and of all that is the matter, that messages and reports show."""
LEFT_OUT = " and were left out"
"""How a note ends; a refusal leaves nothing out."""
Corners = tuple[float, float, float, float]
Form = Literal["pixels", "shares", "told", "xywh"]
"""`pixels`: x1 y1 x2 y2. `shares`: the same as shares of the image's width and height. `told`: pixels, unless every
number of the dataset lies in 0 to 1. `xywh`: x y width height in pixels, unless the images say that they are
corners."""


def refuse(what: str, remedy: str, **details: object) -> NoReturn:
    raise InvalidDataset(f"The boxes were refused: {cut(what, MESSAGE_LENGTH)}.", remedy, details)


def as_float(value: int | float | str) -> float:
    """`float(value)`; infinity for a whole number beyond what a float holds. Raises `ValueError` for other text."""
    try:
        return float(value)
    except OverflowError:
        return inf


def cut(name: str, length: int = NAME_LENGTH) -> str:
    """The beginning of what a file calls something."""
    return name if len(name) <= length else f"{name[:length]}..."


def some(names: Sequence[str]) -> str:
    """The first five, long ones cut."""
    return ", ".join(map(cut, names[:5])) + (", ..." if len(names) > 5 else "")


@dataclass(frozen=True, slots=True)
class Written:
    """n boxes of m images.

    image: (n,) int64, positions among the images. corners: (n, 4) float64, as the reading's form says. labels: (n,)
    int64, positions in its classes. ignored, crowd: (n,) bool. areas: (n,) float64, square pixels, NaN where none is
    stated. sizes: (m, 2) int64, the height and width that annotations state, 0 where they state none.
    """

    image: NDArray[np.int64]
    corners: NDArray[np.float64]
    labels: NDArray[np.int64]
    ignored: NDArray[np.bool_]
    crowd: NDArray[np.bool_]
    areas: NDArray[np.float64]
    sizes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.image)


@dataclass(frozen=True, slots=True)
class Part:
    """The images of one split with their boxes."""

    images: Source
    written: Written


@dataclass(frozen=True, slots=True)
class LeftOut:
    """`count` of `total` things, the first of them by name; `what` ends the sentence "3 of 200 <what>". Noted up to
    `Limits.corrupt_fraction` of all, refused with `remedy` beyond; without a remedy always noted."""

    what: str
    count: int
    first: Sequence[str]
    total: int
    remedy: str = ""

    @classmethod
    def of(cls, what: str, names: Sequence[str], total: int, remedy: str = "") -> LeftOut:
        """With the first 20 of the names, long ones cut."""
        return cls(what, len(names), tuple(map(cut, names[:SHOWN])), total, remedy)

    def note(self, fraction: float) -> list[str]:
        """The note, where there is something to say. Raises `InvalidDataset` beyond the fraction."""
        if not self.count:
            return []
        said = f"{self.count:,} of {self.total:,} {self.what}"
        if self.remedy and self.count > fraction * self.total:
            refuse(
                f"{said.removesuffix(LEFT_OUT)} ({some(self.first)})",
                f"{self.remedy} Up to {fraction:.1%} would be left out.",
                count=self.count, total=self.total, first=list(self.first),
            )  # fmt: skip
        return [f"{said}: {some(self.first)}."]


@dataclass(frozen=True, slots=True)
class Reading:
    """What annotations say. `parts`: by split (`train`, `test`, `validation`), of which "" is none."""

    parts: dict[str, Part]
    classes: tuple[str, ...]
    form: Form
    notes: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


@dataclass
class Names:
    """Class names by number, as they come."""

    known: dict[str, int] = field(default_factory=dict)

    def number(self, name: str, where: str) -> int:
        """Raises `InvalidDataset` for a name that no class can have."""
        if name not in self.known:
            if why := bad_name(name):
                refuse(f"a class that {where} names {why}", "Give the class another name.")
            self.known[name] = len(self.known)
        return self.known[name]

    def in_order(self) -> tuple[tuple[str, ...], NDArray[np.int64]]:
        """The names in the order in which other datasets have theirs, and the new number of each old one."""
        names = ordered(self.known)
        place = {name: i for i, name in enumerate(names)}
        return names, np.array([place[name] for name in self.known], np.int64)


class Writer:
    """Gathers a split's images and boxes."""

    def __init__(self) -> None:
        self._image, self._label, self._flags = array("q"), array("q"), array("b")
        self._corners, self._areas, self._sizes = array("d"), array("d"), array("q")
        self._of: list[int] = []  # boxes by image

    def image(self, height: int = 0, width: int = 0) -> int:
        """A further image, of the size that annotations state (0: none); its position."""
        self._sizes.extend((height, width))
        self._of.append(0)
        return len(self._of) - 1

    def box(
        self, image: int, corners: Corners, label: int, ignored: bool = False, crowd: bool = False,
        area: float = float("nan"),
    ) -> None:  # fmt: skip
        """A further box. Raises `InvalidDataset` beyond the most that a dataset or an image may have."""
        self._of[image] += 1
        if self._of[image] > MOST_OF_AN_IMAGE or len(self._image) >= MOST_BOXES:
            what = f"an image has more than {MOST_OF_AN_IMAGE:,} boxes, or a split more than {MOST_BOXES:,}"
            refuse(what, "Send the image in parts, or fewer boxes.", image=image)
        self._image.append(image)
        self._label.append(label)
        self._corners.extend(corners)
        self._areas.append(area)
        self._flags.append(ignored | crowd << 1)

    def done(self, numbers: NDArray[np.int64] | None = None) -> Written:
        """All of it; `numbers`: what each label became."""
        labels, flags = np.array(self._label, np.int64), np.array(self._flags, np.int8)
        crowd = (flags & 2) > 0
        return Written(
            image=np.array(self._image, np.int64),
            corners=np.array(self._corners, np.float64).reshape(-1, 4),
            labels=labels if numbers is None or not len(labels) else numbers[labels],
            ignored=((flags & 1) > 0) | crowd,
            crowd=crowd,
            areas=np.array(self._areas, np.float64),
            sizes=np.array(self._sizes, np.int64).reshape(-1, 2),
        )
