"""A study's figure as CSV, SVG and PNG."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from distill import drawing
from distill.search.figure import Axis, Figure, Line, Point
from distill.search.figure_words import WHY, counted, reading
from distill.search.labels import Label, write
from distill.search.table import BASE
from distill.search.table_forms import plain

INK, FAINT = "#222222", "#6d645a"
#: Okabe and Ito's, which people of any colour vision tell apart; yellow, too light for white paper, made darker.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#8a6d00", "#56B4E9", "#000000", "#8a8a8a")
MARKERS = "osD^vPX*"
NAMED_LAYERS = 40
"""Points beside which their layer is written; more would lie on each other."""
MARKER_POINTS = 6.0


def to_csv(found: Figure) -> str:
    """A header and a line a configuration: numbers in full; what was left out last, with the reason."""
    series = [] if found.series is None else [found.series.label]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    y = found.y.name
    writer.writerow(["configuration", *series, found.x.label, y, f"{y}_sd", "n", "low", "high", "layer", "left_out"])
    for line in found.lines:
        for point in line.points:
            numbers = [point.x, point.y, point.sd, point.n, point.low, point.high]
            cells = ["" if each is None else each for each in numbers]
            own = [plain(line.label)] if series else []
            writer.writerow([point.configuration, *own, *cells, plain(point.layer or ""), counted(point.unused)])
    for each in found.left_out:
        why = ": ".join(part for part in (WHY[each.why], counted(each.unused)) if part)
        writer.writerow([each.configuration, *([""] * (len(series) + 7)), why])
    return text.getvalue()


def to_svg(found: Figure, title: str) -> str:
    """Scalable picture; the same figure gives the same bytes."""
    return drawing.svg(lambda: _drawn(found, title), title)


def to_png(found: Figure, title: str, dpi: int = 160) -> bytes:
    """Picture of 8 x 5 inches at `dpi` pixels an inch."""
    return drawing.png(lambda: _drawn(found, title), dpi)


def _drawn(found: Figure, title: str) -> Any:
    figure = drawing.figure(8, 5)
    axes = figure.subplots()
    lines = [(at, line) for at, line in enumerate(found.lines) if line.points]
    stands = [_beside(found, place - (len(lines) - 1) / 2) for place in range(len(lines))]
    handles = [
        _line(axes, line, place, COLOURS[at % len(COLOURS)], MARKERS[at % len(MARKERS)])
        for place, (at, line) in zip(stands, lines, strict=True)
    ]
    _scale(axes, found)
    axes.set_xlabel(drawing.literal(found.x.label), color=INK)
    axes.set_ylabel(drawing.literal(found.y.label), color=INK)
    axes.grid(color="#e5e5e5", linewidth=0.6)
    if found.series is not None and handles:
        named = [drawing.literal(_short(line.label)) for _, line in lines]
        heading = drawing.literal(found.series.label)
        figure.legend(handles, named, title=heading, loc="outside right upper", frameon=False, fontsize=8)
    axes.set_title(drawing.literal(title), loc="left", color=INK, fontsize=10)
    said = drawing.literal(textwrap.fill(" ".join(reading(found)), 145, max_lines=5))
    figure.supxlabel(said, x=0.01, ha="left", fontsize=7, color=FAINT)
    _name_layers(axes, [(point, place(point)) for place, (_, line) in zip(stands, lines, strict=True)
                        for point in line.points])  # fmt: skip
    return figure


def _name_layers(axes: Any, stands: Sequence[tuple[Point, float]]) -> None:
    """Beside the points, where they are few."""
    named = [Label(point.layer, at, point.y) for point, at in stands if point.layer is not None]
    if len(named) <= NAMED_LAYERS:
        write(axes, named, [(at, point.y) for point, at in stands], MARKER_POINTS)


Place = Callable[[Point], float]


def _beside(found: Figure, steps: float) -> Place:
    """Where a point stands across: so many steps, of a hundredth of the axis each, beside its x."""
    if not found.beside:
        return lambda point: point.x
    at = [point.x for point in found.points]
    if found.x.logarithmic:
        factor = (max(at) / min(at)) ** (steps / 100)
        return lambda point: point.x * factor
    return lambda point: point.x + (max(at) - min(at)) * steps / 100


def _short(text: str, most: int = 40) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _line(axes: Any, line: Line, place: Place, colour: str, marker: str) -> Any:
    by_number = {point.configuration: point for point in line.points}
    for numbers in line.joined:
        run = [by_number[number] for number in numbers]
        axes.plot([place(p) for p in run], [p.y for p in run], "-", color=colour, linewidth=1.1, zorder=1)
    known = list(_bars(line.points))
    if known:
        bars = [[p.y - low for p, low, _ in known], [high - p.y for p, _, high in known]]
        at, to = [place(p) for p, _, _ in known], [p.y for p, _, _ in known]
        axes.errorbar(at, to, yerr=bars, fmt="none", ecolor=colour, elinewidth=1, capsize=2.5, alpha=0.75, zorder=1)
    base = [point for point in line.points if point.configuration == BASE]
    rest = [point for point in line.points if point.configuration != BASE]
    hollow = {"markerfacecolor": "white", "markersize": MARKER_POINTS, "zorder": 3}
    axes.plot([place(p) for p in base], [p.y for p in base], marker, color=colour, **hollow)
    return axes.plot([place(p) for p in rest], [p.y for p in rest], marker, color=colour, markersize=5, zorder=2)[0]


def _bars(points: Sequence[Point]) -> Iterator[tuple[Point, float, float]]:
    for point in points:
        if point.low is not None and point.high is not None:
            yield point, point.low, point.high


def _scale(axes: Any, found: Figure) -> None:
    """Round numbers along the axis, written out: 20,000 and not 2 x 10^4."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    if found.x.logarithmic:
        axes.set_xscale("log")
        at = [point.x for point in found.points]
        few = max(at) > 8 * min(at)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=9) if few else MaxNLocator(5))
        axes.xaxis.set_minor_locator(NullLocator())
    if _whole(found.x, found.points):
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))


def _whole(x: Axis, points: Sequence[Point]) -> bool:
    return x.logarithmic or all(point.x.is_integer() for point in points)
