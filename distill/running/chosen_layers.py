"""The teachers' Q curves and the pairs of layers that a run distils."""

from __future__ import annotations

from collections.abc import Iterator

from distill.running.norms import high_norms
from distill.running.pairing import check_student, choose, choose_evenly, settle_count
from distill.running.scoring import score_teacher
from distill.running.session import Session
from distill.running.teaching import Teaching
from distill.types import Event

Events = Iterator[Event]
_HIGH = (
    "The features of teacher layer {} are far larger than those of most layers; the loss may diverge on them. If it "
    "does, leave the layer out, or normalise the teacher's features where the recipe can."
)


def check_layers(session: Session) -> None:
    """How many layers there will be, and whether the recipe can work on the student's. Raises InvalidConfig."""
    if _needed(session):
        settle_count(session)
        check_student(session)


def _needed(session: Session) -> bool:
    return session.task.recipe.needs_layers and session.task.teacher is not None


def choose_layers(session: Session) -> Events:
    """Q curve and pairs, for recipes that need them. `check_layers` has been before."""
    if not _needed(session):
        return
    for teaching in session.teachings:
        yield from _chosen(session, teaching)
        if teaching.pairs is None:  # handed over
            return
    found = session.pairs
    assert found is not None
    session.task.reasons["selection"] = found.reason


def _chosen(session: Session, teaching: Teaching) -> Events:
    """One teacher's Q curve and pairs; none after `control.handover`."""
    groups = teaching.groups
    if isinstance(groups, str):
        message = teaching.own(f"There is no Q curve: {groups}.")
        yield Event("log", {"level": "warning", "message": message})
        teaching.pairs = choose_evenly(session, teaching, groups)
    else:
        if not teaching.position:
            yield Event("phase", {"phase": "scoring"})
        curve = yield from score_teacher(session, teaching, groups)
        if curve is None:
            return
        teaching.pairs = choose(session, teaching, curve)
        teaching.curve = teaching.pairs.marked(curve)
    yield Event("selection", teaching.pairs.to_dict() | teaching.whose)
    for name in high_norms(teaching.curve, teaching.pairs) if teaching.curve else ():
        yield Event("log", {"level": "warning", "message": teaching.own(_HIGH.format(name))})
