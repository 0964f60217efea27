"""A study's figure as CSV, SVG and PNG."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from distill import drawing
from distill.search.figure import Axis, Figure, Line, Point
from distill.search.figure_words import WHY, counted, reading
from distill.search.table_forms import plain

INK, FAINT = "#222222", "#6d645a"
#: Okabe and Ito's, which people of any colour vision tell apart; yellow, too light for white paper, made darker.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#8a6d00", "#56B4E9", "#000000", "#8a8a8a")
MARKERS = "osD^vPX*"
NAMED_LAYERS = 40
"""Points beside which their layer is written; more would lie on each other."""


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
    buffer = io.StringIO()
    drawing.save(lambda: _drawn(found, title), buffer, format="svg", metadata={"Date": None, "Title": title})
    return buffer.getvalue()


def to_png(found: Figure, title: str, dpi: int = 160) -> bytes:
    """Picture of 8 x 5 inches at `dpi` pixels an inch."""
    buffer = io.BytesIO()
    drawing.save(lambda: _drawn(found, title), buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def _drawn(found: Figure, title: str) -> Any:
    figure = drawing.figure(8, 5)
    axes = figure.subplots()
    handles = [
        _line(axes, line, COLOURS[at % len(COLOURS)], MARKERS[at % len(MARKERS)])
        for at, line in enumerate(found.lines)
        if line.points
    ]
    _scale(axes, found)
    axes.set_xlabel(drawing.literal(found.x.label), color=INK)
    axes.set_ylabel(drawing.literal(found.y.label), color=INK)
    axes.grid(color="#e5e5e5", linewidth=0.6)
    if found.series is not None and handles:
        named = [drawing.literal(_short(line.label)) for line in found.lines if line.points]
        heading = drawing.literal(found.series.label)
        figure.legend(handles, named, title=heading, loc="outside right upper", frameon=False, fontsize=8)
    axes.set_title(drawing.literal(title), loc="left", color=INK, fontsize=10)
    said = drawing.literal(textwrap.fill(" ".join(reading(found)), 145, max_lines=5))
    figure.supxlabel(said, x=0.01, ha="left", fontsize=7, color=FAINT)
    return figure


def _short(text: str, most: int = 40) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _line(axes: Any, line: Line, colour: str, marker: str) -> Any:
    by_number = {point.configuration: point for point in line.points}
    for numbers in line.joined:
        run = [by_number[number] for number in numbers]
        axes.plot([p.x for p in run], [p.y for p in run], "-", color=colour, linewidth=1.1, zorder=1)
    known = list(_bars(line.points))
    if known:
        bars = [[p.y - low for p, low, _ in known], [high - p.y for p, _, high in known]]
        at, to = [p.x for p, _, _ in known], [p.y for p, _, _ in known]
        axes.errorbar(at, to, yerr=bars, fmt="none", ecolor=colour, elinewidth=1, capsize=2.5, alpha=0.75, zorder=1)
    for point in line.points if len(line.points) <= NAMED_LAYERS else ():
        if point.layer is not None:
            where = (point.x, point.y)
            text = drawing.literal(point.layer)
            axes.annotate(text, where, xytext=(4, 3), textcoords="offset points", fontsize=6, color=FAINT)
    at, to = [p.x for p in line.points], [p.y for p in line.points]
    return axes.plot(at, to, marker, color=colour, markersize=5, zorder=2)[0]


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
