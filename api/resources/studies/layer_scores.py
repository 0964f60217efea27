"""Scores of the layers that a study's configurations distil alone, from the Q curves of its jobs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from sqlalchemy.orm import Session

from distill.search.figure import SCORES, TEACHER_LAYERS, Layer
from distill.search.places import TEACHER, Places
from distill.search.table import Table
from store.repositories import jobs, trials
from store.repositories.trials import Scored

Curve = Mapping[str, Mapping[str, Any]]
"""Layer -> what was scored of it."""


def alone(session: Session, study_id: str, table: Table, places: Places) -> dict[int, Layer]:
    """configuration -> the layer, of those that distil exactly one of one teacher, which the job says, or the
    configuration where its job is gone. The score is the mean over the curves of its own jobs, which differ by the
    samples of their seeds; where none of them is left, over those of the study's other jobs with the same teacher."""
    every = trials.scored(session, study_id)
    curves = {each.digest: _curve(session, each.job_id) for each in {one.digest: one for one in every[::-1]}.values()}
    own: dict[int, list[Scored]] = {}
    for each in every:
        own.setdefault(each.configuration, []).append(each)
    found: dict[int, Layer] = {}
    for row in table.rows:
        assignment, known = row.assignment, own.get(row.configuration, [])
        teachers = places.value(assignment, TEACHER) or []
        named = places.value(assignment, TEACHER_LAYERS) or (known[0].layers if known else [])
        if len(teachers) == 1 and len(named) == 1:
            of = known or [each for each in every if each.teacher_id == teachers[0]]
            digests = dict.fromkeys(each.digest for each in of)
            found[row.configuration] = Layer(named[0], _scores(named[0], (curves[each] for each in digests)))
    return found


def _curve(session: Session, job_id: str) -> Curve:
    return {point["name"]: point for point in jobs.curve_points(session, job_id)}


def _scores(layer: str, curves: Iterable[Curve]) -> dict[str, float]:
    points: Sequence[Mapping[str, Any]] = [curve[layer] for curve in curves if layer in curve]
    return {name: fmean(point[name] for point in points) for name in SCORES} if points else {}
