"""A job's Q curve from its rows, and its other forms."""

from __future__ import annotations

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


def load(session: Session, tenant: str, job_id: str) -> tuple[Job, list[dict[str, Any]]]:
    """The job and its scored layers. Raises `NotFound` for a recipe that scores none."""
    job = find(session, tenant, job_id)
    points = jobs.curve_points(session, job_id)
    known = job.recipe in recipes.names()
    if not points and known and not recipes.registry.flag(job.recipe, "needs_layers", default=True):
        raise NotFound(
            f"Job {job_id} has no Q curve: the recipe {job.recipe} uses no layers.",
            "Ask for the curve of a job with a recipe that does, feature_only for one.",
            code="no_q_curve",
        )
    return job, points


def shown(job: Job, points: list[dict[str, Any]]) -> CurveOut:
    frame: dict[str, Any] = job.curve or {}
    selection: dict[str, Any] = job.selection or {}
    total = frame.get("total_layers")
    complete = total is not None and len(points) == total
    return CurveOut(
        job_id=job.id,
        complete=complete,
        total_layers=total,
        digest=frame.get("digest", ""),
        reused=frame.get("reused", False),
        grouping=frame.get("grouping", "labels"),
        chosen=selection.get("chosen", []),
        rule=selection.get("rule", ""),
        reading=_reading(curve(job, points)) if points and frame else None,
        layers=[CurvePointOut.model_validate(point) for point in points],
        **{name: frame.get(name) for name in FRAME},
    )


def curve(job: Job, points: list[dict[str, Any]]) -> QCurve:
    """As the library knows it. Raises `Conflict` before the first layer is scored."""
    frame: dict[str, Any] = job.curve or {}
    selection: dict[str, Any] = job.selection or {}
    if not points or not frame:
        remedy = "Ask again once the job is in its phase `scoring`; the JSON form can be had at any time."
        raise Conflict(f"No layer of job {job.id} is scored yet.", remedy, code="q_curve_empty")
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
