"""What the name of a column of boxes says of its four numbers. Torch-free."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from distill.data.columns import key
from distill.tasks.detect_objects.written import Corners

Four = Sequence[float]
BASES = ("bbox", "bboxes", "box", "boxes", "bounding_box", "bounding_boxes")


def _corners(four: Four) -> Corners:
    x1, y1, x2, y2 = four
    return x1, y1, x2, y2


def _sizes(four: Four) -> Corners:
    x, y, width, height = four
    return x, y, x + width, y + height


def _centres(four: Four) -> Corners:
    x, y, width, height = four
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


WAYS: dict[str, Callable[[Four], Corners]] = {"cxcywh": _centres, "xywh": _sizes, "xyxy": _corners}
"""Ends of names, a longer one before its own end: how four numbers become corners."""


def named() -> Iterator[str]:
    """The names of columns that say what their numbers are: `bbox_xyxy`, `boxes_cxcywh`, ..."""
    return (f"{base}_{way}" for base in BASES for way in WAYS)


def way_of(column: str) -> str | None:
    """Which of `WAYS` the column's name ends on; None: it does not say."""
    return next((way for way in WAYS if key(column).endswith(way)), None)
