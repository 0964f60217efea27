"""A job's Q curve from its rows, and its other forms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from api.errors.problems import Conflict, NotFound
from api.resources.curves.schemas import CurveOut, CurvePointOut
from api.resources.jobs.service import find
from distill import recipes
from distill.types import LayerQuality, QCurve
from store.repositories import jobs
from store.tables import Job

FRAME = ("samples", "classes", "train_size", "seed")


@dataclass(frozen=True)
class Scored:
    """A job, and of the one of its teachers at `position`: the curve's frame, what was chosen, and the scored
    layers."""

    job: Job
    position: int
    teacher: str | None
    frame: dict[str, Any]
    selection: dict[str, Any]
    points: list[dict[str, Any]]


def load(session: Session, tenant: str, job_id: str, position: int) -> Scored:
    """The scored layers of one of the job's teachers. Raises `NotFound` for a recipe that scores none, and for a
    position that the job has no teacher at."""
    job = find(session, tenant, job_id)
    of = jobs.teachings(session, job)
    if position >= len(of):
        remedy = f"Ask for one from 0 to {len(of) - 1}." if len(of) > 1 else "Leave `teacher` out."
        raise NotFound(f"Job {job_id} has no teacher {position}.", remedy, code="no_q_curve")
    points = jobs.curve_points(session, job_id, position)
    recipe = jobs.trained_recipe(job)
    known = recipe in recipes.names()
    if not points and known and not recipes.registry.flag(recipe, "needs_layers", default=True):
        raise NotFound(
            f"Job {job_id} has no Q curve: the recipe {recipe} uses no layers.",
            "Ask for the curve of a job with a recipe that does, feature_only for one.",
            code="no_q_curve",
        )
    one = of[position]
    return Scored(job, position, one.teacher_id, one.curve or {}, one.selection or {}, points)


def shown(found: Scored) -> CurveOut:
    frame, selection, points = found.frame, found.selection, found.points
    total = frame.get("total_layers")
    complete = total is not None and len(points) == total
    return CurveOut(
        job_id=found.job.id,
        teacher=found.teacher,
        position=found.position,
        complete=complete,
        total_layers=total,
        digest=frame.get("digest", ""),
        reused=frame.get("reused", False),
        grouping=frame.get("grouping", "labels"),
        chosen=selection.get("chosen", []),
        rule=selection.get("rule", ""),
        reading=_reading(curve(found)) if points and frame else None,
        layers=[CurvePointOut.model_validate(point) for point in points],
        **{name: frame.get(name) for name in FRAME},
    )


def curve(found: Scored) -> QCurve:
    """As the library knows it. Raises `Conflict` before the first layer is scored."""
    frame, selection, points = found.frame, found.selection, found.points
    if not points or not frame:
        remedy = "Ask again once the job is in its phase `scoring`; the JSON form can be had at any time."
        raise Conflict(f"No layer of job {found.job.id} is scored yet.", remedy, code="q_curve_empty")
    return QCurve(
        layers=tuple(LayerQuality.from_dict(point) for point in points),
        total_layers=frame["total_layers"],
        chosen=tuple(selection.get("chosen", ())),
        rule=selection.get("rule", ""),
        digest=frame.get("digest", ""),
        reused=frame.get("reused", False),
        grouping=frame.get("grouping", "labels"),
        **{name: frame[name] for name in FRAME},
    )


def drawn(found: QCurve, media_type: str) -> bytes:
    """The curve as CSV, SVG or PNG."""
    from distill import curve as forms  # here: reading JSON needs none of it

    if media_type == "image/png":
        return forms.to_png(found)
    return (forms.to_csv(found) if media_type == "text/csv" else forms.to_svg(found)).encode()


def _reading(found: QCurve) -> str:
    from distill import curve as forms

    return forms.reading(found)
