"""What better costs: configurations by two figures, and the front of those that no other beats in both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from distill import drawing
from distill.search.labels import Label, write
from distill.search.objectives import COSTS, Objective
from distill.search.statistics import front
from distill.search.table import BASE, Row, Table

INK, FAINT, BLUE, RED = "#222222", "#8a8a8a", "#0072B2", "#D55E00"
MARKER_POINTS = 5.0


@dataclass(frozen=True, slots=True)
class Point:
    """A configuration's means; `best`: no other is as good in both and better in one."""

    configuration: int
    x: float
    y: float
    best: bool

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Pareto:
    """Points from left to right."""

    x: Objective
    y: Objective
    points: list[Point]


def axis(name: str, objectives: Sequence[Objective]) -> Objective | None:
    """The figure of this name: an objective, or a cost, which is better when it is less. None: there is none."""
    known = {each.name: each for each in objectives}
    return known.get(name) or (Objective(name, "minimize") if name in COSTS else None)


def pareto(table: Table, x: Objective, y: Objective) -> Pareto:
    """Of all configurations that have both figures. Files of networks with equally many parameters differ by what they
    say of themselves, a few bytes, which put no configuration before another."""
    rows = [row for row in table.rows if x.name in row.values and y.name in row.values]
    values = [(row.values[x.name].mean, row.values[y.name].mean) for row in rows]
    judged = list(zip(_judged(rows, x.name), _judged(rows, y.name), strict=True))
    best = set(front(judged, (x.maximised, y.maximised)))
    points = [
        Point(row.configuration, *value, place in best)
        for place, (row, value) in enumerate(zip(rows, values, strict=True))
    ]
    return Pareto(x, y, sorted(points, key=lambda point: (point.x, point.y, point.configuration)))


def _judged(rows: Sequence[Row], name: str) -> list[float]:
    """Each row's figure, of bytes the least among the rows of as many parameters."""
    found = [row.values[name].mean for row in rows]
    if name != "bytes":
        return found
    sizes = [row.values["parameters"].mean if "parameters" in row.values else None for row in rows]
    least: dict[float, float] = {}
    for size, value in zip(sizes, found, strict=True):
        if size is not None:
            least[size] = min(value, least.get(size, value))
    return [value if size is None else least[size] for size, value in zip(sizes, found, strict=True)]


def to_svg(found: Pareto, title: str) -> str:
    """Scalable picture; the same points give the same bytes."""
    return drawing.svg(lambda: _figure(found, title), title)


def to_png(found: Pareto, title: str, dpi: int = 160) -> bytes:
    """Picture of 7 x 4.6 inches at `dpi` pixels an inch."""
    return drawing.png(lambda: _figure(found, title), dpi)


def _figure(found: Pareto, title: str) -> Any:
    figure = drawing.figure(7, 4.6)
    axes = figure.subplots()
    best = [point for point in found.points if point.best]
    rest = [point for point in found.points if not point.best and point.configuration != BASE]
    axes.plot([p.x for p in rest], [p.y for p in rest], "o", color=FAINT, markersize=4, label="configurations")
    axes.plot([p.x for p in best], [p.y for p in best], "D-", color=BLUE, linewidth=1, markersize=5, label="front")
    base = [point for point in found.points if point.configuration == BASE]
    axes.plot(
        [p.x for p in base], [p.y for p in base], "s", color=RED, markersize=6, label="base job", fillstyle="none"
    )
    axes.set_xlabel(_label(found.x), color=INK)
    axes.set_ylabel(_label(found.y), color=INK)
    axes.grid(color="#e5e5e5", linewidth=0.6)
    axes.legend(frameon=False, fontsize=8)
    axes.set_title(drawing.literal(title), loc="left", color=INK, fontsize=10)
    named = [Label(str(point.configuration), point.x, point.y) for point in best]
    write(axes, named, [(point.x, point.y) for point in found.points], MARKER_POINTS, fontsize=8)
    return figure


def _label(axis: Objective) -> str:
    return f"{axis.name} ({'more' if axis.maximised else 'less'} is better)"
