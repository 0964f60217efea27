"""Configurations as points: a figure with its interval against a cost, a place of the space, or the score of the one
layer that each distils, in series told apart by another place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

from distill.search.objectives import COSTS, Objective
from distill.search.places import Places, name, of_student
from distill.search.rank import spearman
from distill.search.space import MERGED, canonical
from distill.search.statistics import interval
from distill.search.table import Row, Table

Kind = Literal["figure", "place", "score"]
Why = Literal["no_value", "no_figure", "no_number", "not_one_layer", "not_scored"]
#: What a layer's Q curve says of it, which may be an axis: name -> in words.
SCORES: Mapping[str, str] = {
    "quality": "quality Q of the layer",
    "separation": "separation S of the layer",
    "information": "information I of the layer",
    "efficiency": "efficiency E of the layer",
    "relative_depth": "relative depth of the layer",
}
TEACHER_LAYERS = "/config/teacher_layers"
SIZES = ("parameters", "bytes", "flops")
"""Costs that a student has before it is trained: they vary with it alone."""
SPAN = 20.0
"""A place whose values span a larger factor has a logarithmic axis (**our choice**)."""


@dataclass(frozen=True, slots=True)
class Axis:
    """`name`: of an objective, a cost or a score, or the pointer of a place. `label`: in words."""

    name: str
    kind: Kind
    label: str
    logarithmic: bool = False


@dataclass(frozen=True, slots=True)
class Layer:
    """The one teacher layer that a configuration distils. `scores`: of `SCORES`, means over the curves that have it;
    empty where none has."""

    name: str
    scores: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Point:
    """A configuration. `y`: its mean over `n` seeds with their standard deviation and 95 % interval, which is null of a
    single seed and of seeds that coincide; `unused`: its trials that no mean is of, by why."""

    configuration: int
    assignment: Mapping[str, Any]
    x: float
    y: float
    sd: float | None
    n: int
    low: float | None
    high: float | None
    layer: str | None
    unused: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Line:
    """A series: the configurations that have one `value` at the figure's place. Points from left to right. `joined`:
    runs of configurations that differ in x alone. `rank_correlation`: Spearman's of a layer's score and y."""

    value: Any
    label: str
    points: list[Point] = field(default_factory=list)
    joined: list[list[int]] = field(default_factory=list)
    rank_correlation: float | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A configuration that is no point. `no_value`: no run of it ended with a value of y; `no_figure`: nor of x;
    `no_number`: it has no number at the place of x; `not_one_layer`: it distils none, or several; `not_scored`: its
    layer is on no Q curve."""

    configuration: int
    assignment: Mapping[str, Any]
    why: Why
    unused: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Figure:
    """`series`: the place that tells the lines apart; None: there is one line."""

    x: Axis
    y: Axis
    series: Axis | None
    lines: list[Line]
    left_out: list[LeftOut]

    @property
    def points(self) -> list[Point]:
        return [point for line in self.lines for point in line.points]

    @property
    def beside(self) -> bool:
        """Whether two series have points at the same x: a picture shows them side by side."""
        values = [{point.x for point in line.points} for line in self.lines]
        return len(set[float]().union(*values)) < sum(map(len, values))


def figures(objectives: Sequence[Objective]) -> list[Axis]:
    """What can be counted or measured of a configuration: its objectives, then all costs."""
    names = dict.fromkeys([*(each.name for each in objectives), *COSTS])
    return [Axis(name, "figure", COSTS[name][1] if name in COSTS else name) for name in names]


def across(places: Places, objectives: Sequence[Objective]) -> list[Axis]:
    """What can be x: costs, numeric places, and scores where configurations name teacher layers."""
    costs = [axis for axis in figures(objectives) if axis.name in COSTS]
    numeric = [Axis(each, "place", name(each)) for each in places.pointers if places.numeric(each)]
    scores = [Axis(each, "score", SCORES[each]) for each in SCORES] if TEACHER_LAYERS in places.pointers else []
    return [*costs, *numeric, *scores]


def apart(places: Places) -> list[Axis]:
    """What can tell series apart: places with few values."""
    return [Axis(each, "place", name(each)) for each in places.pointers if places.distinct(each)]


def usual_x(places: Places, choices: Sequence[Axis]) -> Axis:
    """The student's size where the student varies, else a layer's quality, else the first numeric place."""
    known = {axis.name: axis for axis in choices}
    if any(of_student(pointer) for pointer in places.pointers):
        return known["parameters"]
    by_kind = {kind: [axis for axis in choices if axis.kind == kind] for kind in ("score", "place")}
    return [*by_kind["score"], *by_kind["place"], known["parameters"]][0]


def drawn(
    table: Table, places: Places, x: Axis, y: Axis, series: Axis | None, layers: Mapping[int, Layer] | None = None
) -> Figure:
    """`layers`: configuration -> the one layer that it distils; of scores alone."""
    values = [None] if series is None else places.values(series.name) or []
    lines = [Line(value, "" if series is None else places.words(series.name, value)) for value in values]
    by_value = {canonical(line.value): line for line in lines}
    left_out: list[LeftOut] = []
    for row in sorted(table.rows, key=lambda row: row.configuration):
        found = _point(row, places, x, y, layers or {})
        if not isinstance(found, Point):
            left_out.append(LeftOut(row.configuration, row.assignment, found, row.unused))
            continue
        value = None if series is None else places.value(row.assignment, series.name)
        line = by_value.get(canonical(value))
        if line is None:  # given by hand to a job that was in no choice
            line = by_value[canonical(value)] = Line(value, places.words(series.name, value) if series else "")
            lines.append(line)
        line.points.append(found)
    return Figure(_scaled(x, lines), y, series, [_settled(line, places, x) for line in lines], left_out)


def _point(row: Row, places: Places, x: Axis, y: Axis, layers: Mapping[int, Layer]) -> Point | Why:
    found, layer = row.values.get(y.name), layers.get(row.configuration)
    if found is None:
        return "no_value"
    at = _x(row, places, x, layer)
    if not isinstance(at, float):
        return at
    low, high = interval(found) or (None, None)
    named = layer.name if layer is not None and x.kind == "score" else None
    return Point(
        row.configuration, row.assignment, at, found.mean, found.sd, found.n, low, high, named, row.unused,
    )  # fmt: skip


def _x(row: Row, places: Places, x: Axis, layer: Layer | None) -> float | Why:
    if x.kind == "figure":
        found = row.values.get(x.name)
        return "no_figure" if found is None else float(found.mean)
    if x.kind == "place":
        number = places.number(row.assignment, x.name)
        return "no_number" if number is None else number
    if layer is None:
        return "not_one_layer"
    return layer.scores.get(x.name, "not_scored")


def _scaled(x: Axis, lines: Sequence[Line]) -> Axis:
    """Costs by their ratios, and places whose values span a large factor; what is not above 0 has no logarithm."""
    at = [point.x for line in lines for point in line.points]
    wide = bool(at) and min(at) > 0 and (x.kind == "figure" or (x.kind == "place" and max(at) > SPAN * min(at)))
    return Axis(x.name, x.kind, x.label, wide)


def _settled(line: Line, places: Places, x: Axis) -> Line:
    points = sorted(line.points, key=lambda point: (point.x, point.configuration))
    rank = spearman([p.x for p in points], [p.y for p in points]) if x.kind == "score" else None
    return Line(line.value, line.label, points, _joined(points, places, x), rank)


def _joined(points: Sequence[Point], places: Places, x: Axis) -> list[list[int]]:
    """Only along a place, and along the student's size: what is measured of a run is no reason to join runs."""
    if x.kind == "score" or (x.kind == "figure" and x.name not in SIZES):
        return []
    others = [each for each in places.pointers if each != MERGED and not _varies_with(each, x)]
    groups: dict[str, list[Point]] = {}
    for point in points:
        rest = [places.value(point.assignment, each) for each in others]
        groups.setdefault(canonical(rest), []).append(point)
    return [
        [point.configuration for point in group]
        for group in groups.values()
        if any(one.x < other.x for one, other in pairwise(group))
    ]


def _varies_with(pointer: str, x: Axis) -> bool:
    """Whether the place is that of x, or holds it."""
    if x.kind == "figure":
        return of_student(pointer)
    return pointer == x.name or x.name.startswith(f"{pointer}/")
