"""What a study's figure says and does not say, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from distill.search.figure import Figure, LeftOut, Line, Point, Why
from distill.search.objectives import COSTS
from distill.search.table import BASE

NAMED = 8
"""Configurations that a sentence names; the others it counts."""
WHY: Mapping[Why, str] = {
    "no_value": "no run ended with a value",
    "no_figure": "no value across",
    "no_number": "no number across",
    "not_one_layer": "not distilled on exactly one layer",
    "not_scored": "its layer is on no Q curve",
}


def reading(found: Figure) -> list[str]:
    """Sentences, each a thing to know: what the bars are, what the lines join, what the ranks say, what is missing."""
    return [*_heights(found), *_lines(found), *_ranks(found), *_missing(found)]


def _heights(found: Figure) -> Iterator[str]:
    points = found.points
    if not points:
        yield "No configuration has both figures yet." if not found.left_out else "There is nothing to draw."
        return
    samples = "" if found.y.name in COSTS else " on validation samples"
    yield f"A point is a configuration: its mean {found.y.name} over seeds{samples}."
    if any(point.configuration == BASE for point in points):
        yield "The hollow one is the base job."
    if any(point.low is not None for point in points):
        yield "Bars are 95 % intervals (Student's t over the seeds), each by itself."
    single = sum(point.n == 1 for point in points)
    if single:
        yield f"{_of(single, points)} a single seed and so no interval."
    coincide = sum(point.n > 1 and point.low is None for point in points)
    if coincide and found.y.name not in COSTS:
        yield f"{_of(coincide, points)} seeds of equal values, which estimate no interval."


def _of(number: int, points: Sequence[Point]) -> str:
    if number == len(points):
        return "All configurations have" if number > 1 else "The configuration has"
    return f"{number} of {len(points)} configurations {'has' if number == 1 else 'have'}"


def _lines(found: Figure) -> Iterator[str]:
    if any(line.joined for line in found.lines):
        what = "their student" if found.x.kind == "figure" else found.x.label
        yield f"A line joins configurations that differ in {what} alone."
    if found.beside:
        yield "Points of several series at one place across stand side by side."


def _ranks(found: Figure) -> Iterator[str]:
    """Of scores: those of several teachers stand on no common scale, so each line has its own."""
    for line in found.lines:
        if line.rank_correlation is not None:
            of = f" of {line.label}" if found.series else ""
            yield f"Rank correlation (Spearman) of {found.x.name} and {found.y.name}{of}: {rank(line)}."


def rank(line: Line) -> str:
    """`+0.83 over 9 layers`."""
    return f"{line.rank_correlation:+.2f} over {len(line.points)} configurations"


def _missing(found: Figure) -> Iterator[str]:
    partly = [(point.configuration, point.unused) for point in found.points if point.unused]
    if partly:
        said = [f"{_number(number)} ({counted(unused)})" for number, unused in partly]
        yield f"Runs that are in no mean: {_some(said)}."
    for why, words in WHY.items():
        said = [_left_out(each) for each in found.left_out if each.why == why]
        if said:
            yield f"Left out, {words}: {_some(said)}."


def _left_out(each: LeftOut) -> str:
    return _number(each.configuration) + (f" ({counted(each.unused)})" if each.unused else "")


def _number(configuration: int) -> str:
    return "the base job" if configuration == BASE else f"configuration {configuration}"


def _some(said: Sequence[str]) -> str:
    more = len(said) - NAMED
    return ", ".join(said[:NAMED]) + (f" and {more} more" if more > 0 else "")


def counted(unused: Mapping[str, int]) -> str:
    """`2 diverged, 1 at chance`."""
    return ", ".join(f"{number} {why.replace('_', ' ')}" for why, number in unused.items())
