"""The figure of a study that a query asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydantic_core import to_json
from sqlalchemy.orm import Session

from api.http.forms import invalid_query
from api.resources.studies import layer_scores
from api.resources.studies.results import Found
from distill.search import figure, figure_forms, figure_words
from distill.search.figure import Axis, Figure, LeftOut, Point
from distill.search.places import FEW, TEACHER, Places, name
from distill.search.space import Space
from store.repositories import trials
from store.tables import Study, Teacher

RECIPE = "/config/recipe"
NONE = "none"


@dataclass(frozen=True)
class Choices:
    """What a query may ask for."""

    x: list[Axis]
    y: list[Axis]
    series: list[Axis]


@dataclass(frozen=True)
class Shown:
    """A figure, what else there is, and the first job of each configuration."""

    title: str
    figure: Figure
    choices: Choices
    jobs: dict[int, str]


def load(session: Session, found: Found, x: str | None, y: str | None, series: str | None) -> Shown:
    """Raises `Unprocessable` for an axis that the study does not have."""
    study = found.study
    places = Places(Space.from_list(study.space), study.base, _teachers(session, study))
    choices = Choices(
        figure.across(places, found.objectives), figure.figures(found.objectives), figure.apart(places)
    )  # fmt: skip
    across = _asked("x", x, choices.x) or figure.usual_x(places, choices.x)
    up, apart = _asked("y", y, choices.y) or choices.y[0], _apart(places, choices.series, series)
    alone = layer_scores.alone(session, study.id, found.table, places) if across.kind == "score" else None
    drawn = figure.drawn(found.table, places, across, up, apart, alone)
    return Shown(found.title, drawn, choices, trials.first_jobs(session, study.id))


def json(shown: Shown) -> bytes:
    """FigureOut; of ten thousand points too large to be checked member by member."""

    def told(each: Point | LeftOut) -> dict[str, Any]:
        return asdict(each) | {"job": shown.jobs.get(each.configuration)}

    lines = [asdict(line) | {"points": [told(point) for point in line.points]} for line in shown.figure.lines]
    return to_json(
        {
            "x": shown.figure.x,
            "y": shown.figure.y,
            "series": shown.figure.series,
            "lines": lines,
            "left_out": [told(each) for each in shown.figure.left_out],
            "reading": figure_words.reading(shown.figure),
            "choices": shown.choices,
        }
    )


def csv(shown: Shown) -> str:
    return figure_forms.to_csv(shown.figure)


def svg(shown: Shown) -> str:
    return figure_forms.to_svg(shown.figure, shown.title)


def png(shown: Shown) -> bytes:
    return figure_forms.to_png(shown.figure, shown.title)


def _teachers(session: Session, study: Study) -> dict[str, str]:
    """id -> name, of those that the study may have and that no other of them shares."""
    rows = [session.get(Teacher, each) for each in study.inputs if each.startswith("tch_")] if _vary(study) else []
    names = [row.name for row in rows if row is not None]
    return {row.id: row.name for row in rows if row is not None and row.name and names.count(row.name) == 1}


def _vary(study: Study) -> bool:
    return any(domain["pointer"] == TEACHER for domain in study.space)


def _asked(parameter: str, asked: str | None, choices: Sequence[Axis]) -> Axis | None:
    """By its name, or by the last part of a pointer where no other has the same. None where nothing is asked."""
    if asked is None:
        return None
    exact = [axis for axis in choices if axis.name == asked]
    short = [axis for axis in choices if axis.kind == "place" and name(axis.name) == asked]
    for found in (exact, short):
        if len(found) == 1:
            return found[0]
    names = ", ".join(axis.name for axis in choices) or "nothing"
    raise invalid_query(f"/{parameter}", f"The study has no {asked!r} for {parameter}.", f"Use one of {names}.")


def _apart(places: Places, choices: Sequence[Axis], asked: str | None) -> Axis | None:
    if asked == NONE:
        return None
    if asked is None:
        return next((axis for axis in choices if axis.name == RECIPE), None)
    many = [each for each in places.pointers if asked in (each, name(each)) and places.values(each) is None]
    if many:
        message = f"{many[0]} has more than {FEW} values, by which nobody tells series apart."
        raise invalid_query("/series", message, "Draw it as x, or choose another place.")
    return _asked("series", asked, choices)
