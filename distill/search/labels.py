"""Names beside points, none on another: each goes to the first free place around its point, from near to far, with a
line to the point where it stands apart (**our choice**). The same points give the same places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from distill import drawing

FAINT = "#6d645a"
GAP, FARTHEST = 4.0, 12
"""Points of type between a label and its point; and how many lines of type a label moves at most."""


@dataclass(frozen=True, slots=True)
class Box:
    """Left, bottom, width and height, all in one unit."""

    x: float
    y: float
    width: float
    height: float

    def overlap(self, other: Box) -> float:
        """The area that both cover."""
        across = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        up = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        return across * up if across > 0 and up > 0 else 0.0

    def within(self, room: Box) -> bool:
        return (
            self.x >= room.x and self.x + self.width <= room.x + room.width
            and self.y >= room.y and self.y + self.height <= room.y + room.height
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Label:
    """`text` beside the point (`x`, `y`) of the axes."""

    text: str
    x: float
    y: float


def places(
    points: Sequence[tuple[float, float]], sizes: Sequence[tuple[float, float]], room: Box, taken: Sequence[Box],
    gap: float = GAP,
) -> list[Box]:  # fmt: skip
    """Where a label of each size (width, height) stands beside its point: inside `room`, on none of those before it and
    on nothing that is `taken`; where no place is free, on as little as it can be."""
    found: list[Box] = []
    for (x, y), (width, height) in zip(points, sizes, strict=True):
        full = [*taken, *found]
        candidates = [each for each in _around(x, y, width, height, gap) if each.within(room)]
        costs = [sum(each.overlap(other) for other in full) for each in candidates]
        free = next((each for each, cost in zip(candidates, costs, strict=True) if cost == 0), None)
        least = candidates[costs.index(min(costs))] if candidates else Box(x + gap, y, width, height)
        found.append(free or least)
    return found


def _around(x: float, y: float, width: float, height: float, gap: float) -> Iterator[Box]:
    """Right and left of the point, then above and below it, then the same a line of type further, and so on."""
    for lines in range(FARTHEST):
        for up in (gap / 2 + lines * height, -height - gap / 2 - lines * height):
            for across in (gap, -width - gap, -width / 2):
                yield Box(x + across, y + up, width, height)


def write(
    axes: Any, labels: Sequence[Label], marked: Sequence[tuple[float, float]], marker: float, fontsize: float = 6
) -> None:
    """Write them into axes that are done but for this. `marked`: points of the axes with a marker of `marker` points of
    type across, which no label covers."""
    if not labels:
        return
    figure = axes.figure
    look = {"fontsize": fontsize, "color": FAINT, "annotation_clip": False}
    texts = [
        axes.annotate(
            drawing.literal(each.text), (each.x, each.y), xytext=(0, 0), textcoords="offset points", ha="left",
            va="bottom", **look,
        )
        for each in labels
    ]  # fmt: skip
    for text in texts:
        text.set_in_layout(False)
    figure.draw_without_rendering()  # now the axes stand where they will
    unit = 72 / figure.dpi
    extents = [text.get_window_extent() for text in texts]
    sizes = [(extent.width * unit, extent.height * unit) for extent in extents]
    at = [_pixels(axes, each.x, each.y, unit) for each in labels]
    taken = [Box(x - marker / 2, y - marker / 2, marker, marker) for x, y in (_pixels(axes, *p, unit) for p in marked)]
    inside = axes.get_window_extent()
    room = Box(inside.x0 * unit, inside.y0 * unit, inside.width * unit, inside.height * unit)
    for text, (x, y), box in zip(texts, at, places(at, sizes, room, taken), strict=True):
        text.set_position((box.x - x, box.y - y))
        if max(box.y - y, y - box.y - box.height) > 2 * GAP:
            _lead(axes, text, box, x, y)


def _lead(axes: Any, text: Any, box: Box, x: float, y: float) -> None:
    """A thin line from the point to the nearest corner or middle of its label."""
    near = (min(max(x, box.x), box.x + box.width) - x, (box.y if box.y > y else box.y + box.height) - y)
    line = {"arrowstyle": "-", "color": FAINT, "linewidth": 0.4, "shrinkA": 0, "shrinkB": 2}
    axes.annotate(
        "", text.xy, xytext=near, textcoords="offset points", arrowprops=line, annotation_clip=False
    ).set_in_layout(False)


def _pixels(axes: Any, x: float, y: float, unit: float) -> tuple[float, float]:
    across, up = axes.transData.transform((x, y))
    return float(across) * unit, float(up) * unit
