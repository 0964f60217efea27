"""The test images on which a student does worst, and all boxes on them, for pages that draw them themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from distill.tasks.detect_objects.boxes import Boxes
from distill.tasks.detect_objects.detections import SURE, Detections
from distill.tasks.detect_objects.judged import Judged
from distill.tasks.detect_objects.palette import colours

MOST, SIDE, COLUMNS = 24, 320, 4
"""How many images; the longest side of each in pixels; how many beside each other."""
_QUALITY = 80


@dataclass(frozen=True)
class Shown:
    """A test image of `size` (height, width). `said`: what each network says of it, by name, in pixels of the image."""

    name: str
    size: tuple[int, int]
    truth: Boxes
    said: Mapping[str, Detections]
    judged: Judged

    @property
    def small(self) -> tuple[int, int]:
        """(width, height) on the sheet."""
        height, width = self.size
        scale = min(1.0, SIDE / max(self.size))
        return max(1, round(width * scale)), max(1, round(height * scale))


@dataclass(frozen=True)
class Worst:
    """`shown`: the worst first; `images`: gives each of them, one after the other; `tested`: how many test images there
    are."""

    shown: Sequence[Shown]
    images: Callable[[], Iterable[Image.Image]]
    tested: int

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the sheet."""
        return min(COLUMNS, len(self.shown)) * SIDE, -(-len(self.shown) // COLUMNS) * SIDE

    def draw(self, path: Path) -> Path:
        """All images side by side, without boxes. Written complete or not at all, in the format that the path's suffix
        names."""
        sheet = Image.new("RGB", self.size)
        for number, (one, image) in enumerate(zip(self.shown, self.images(), strict=True)):
            sheet.paste(image.convert("RGB").resize(one.small, Image.Resampling.BICUBIC), place(number))
        part = path.with_name("." + path.name)
        sheet.save(part, quality=_QUALITY)
        return part.replace(path)

    def told(self, classes: Sequence[str]) -> dict[str, Any]:
        """JSON-serialisable: `classes`; `colours` (#rrggbb) by class; `tested`; `sheet` (width, height); `score`: from
        which score on a box counts for `f1`, `found`, `missed` and `wrong` of an image
        (`distill.tasks.detect_objects.judged`); `images`, each with `place` (x, y, width, height on the sheet) and its
        `boxes`, in pixels of the image: `truth` ([x1, y1, x2, y2, class, 1 where it is ignored]) and by network [x1,
        y1, x2, y2, class, score]."""
        return {
            "classes": list(classes),
            "colours": [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in colours(len(classes))],
            "tested": self.tested,
            "sheet": list(self.size),
            "score": SURE,
            "images": [_told(number, one) for number, one in enumerate(self.shown)],
        }


def place(number: int) -> tuple[int, int]:
    """Where on the sheet image `number` begins: x, y."""
    return number % COLUMNS * SIDE, number // COLUMNS * SIDE


def _told(number: int, one: Shown) -> dict[str, Any]:
    height, width = one.size
    boxes = {"truth": _rows(one.truth.corners, one.truth.classes, one.truth.ignored.astype(np.int64))}
    boxes |= {
        name: _rows(each.corners.numpy(), each.classes.numpy(), each.scores.numpy()) for name, each in one.said.items()
    }
    return {
        "name": one.name,
        "width": width,
        "height": height,
        "place": [*place(number), *one.small],
        "f1": round(one.judged.f1, 4),
        "found": one.judged.found,
        "missed": one.judged.missed,
        "wrong": one.judged.wrong,
        "boxes": boxes,
    }


def _rows(corners: Any, classes: Any, last: Any) -> list[list[float]]:
    rows = zip(corners.tolist(), classes.tolist(), last.tolist(), strict=True)
    return [[*(round(each, 1) for each in four), number, round(value, 3)] for four, number, value in rows]
