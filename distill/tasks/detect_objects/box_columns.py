"""What the name of a column of boxes, or a registration, says of its four numbers. Torch-free."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from distill.data.columns import key
from distill.tasks.detect_objects.written import Corners, Form

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


@dataclass(frozen=True, slots=True)
class Told:
    """What a registration says of the four numbers. `way`: of `WAYS`; None: columns tell. `form`: of corners made by
    it."""

    way: str | None = None
    form: Form | None = None

    @classmethod
    def read(cls, box_format: str) -> Told:
        """`xywh`, `xywh_relative`, ... (`distill.types.BoxFormat`); empty: nothing is said."""
        way, _, unit = box_format.partition("_")
        return cls(way, _UNITS[unit]) if way else cls()


NOTHING = Told()
FOURS: dict[str, tuple[tuple[str, str, str, str], ...]] = {
    "xyxy": (
        ("xmin", "ymin", "xmax", "ymax"),
        ("x_min", "y_min", "x_max", "y_max"),
        ("x1", "y1", "x2", "y2"),
        ("left", "top", "right", "bottom"),
        ("bbox_xmin", "bbox_ymin", "bbox_xmax", "bbox_ymax"),
    ),
    "xywh": (
        ("bbox_x", "bbox_y", "bbox_width", "bbox_height"),  # make-sense.ai
        ("bbox_x", "bbox_y", "bbox_w", "bbox_h"),
        ("x", "y", "w", "h"),
        ("x", "y", "width", "height"),
        ("xmin", "ymin", "width", "height"),
        ("left", "top", "width", "height"),
    ),
    "cxcywh": (
        ("x_center", "y_center", "width", "height"),
        ("center_x", "center_y", "width", "height"),
        ("cx", "cy", "w", "h"),
        ("cx", "cy", "width", "height"),
    ),
}
"""Of `WAYS`: names of four columns of one number each."""
_UNITS: dict[str, Form] = {"": "told", "absolute": "pixels", "relative": "shares"}


def named() -> Iterator[str]:
    """The names of columns that say what their numbers are: `bbox_xyxy`, `boxes_cxcywh`, ..."""
    return (f"{base}_{way}" for base in BASES for way in WAYS)


def way_of(column: str) -> str | None:
    """Which of `WAYS` the column's name ends on; None: it does not say."""
    return next((way for way in WAYS if key(column).endswith(way)), None)
