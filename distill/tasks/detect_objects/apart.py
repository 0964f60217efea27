"""Boxes of two networks on one image, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from distill.disagreement import Look
from distill.tasks.detect_objects.detections import SURE, Detections
from distill.tasks.detect_objects.palette import colours

APART = (
    f"1 - F1 of the student's boxes against the teacher's, both of a score of at least {SURE}, a pair of a class being "
    "of IoU 0.5 at least: 0 where all boxes meet, 1 where none does."
)


def seen_apart(sight: Look, said: Mapping[str, Detections], classes: Sequence[str]) -> Look:
    """The image with each one's sure boxes, by name, in its pixels."""
    assert sight.picture is not None
    told: dict[str, Any] = {name: {"boxes": boxes_of(each.above(SURE), classes)} for name, each in said.items()}
    return sight.telling(told | {"width": sight.picture.width, "height": sight.picture.height})


def boxes_of(found: Detections, classes: Sequence[str]) -> list[dict[str, Any]]:
    """JSON-serialisable, the best first: `corners` x1 y1 x2 y2 in pixels of the image, a `colour` for each class."""
    columns = (column.tolist() for column in (found.corners, found.classes, found.scores))
    paint = colours(len(classes))
    return [
        {
            "label": classes[number],
            "index": number,
            "score": score,
            "corners": [round(each, 2) for each in corners],
            "colour": "#{:02x}{:02x}{:02x}".format(*paint[number]),
        }
        for corners, number, score in zip(*columns, strict=True)
    ]
