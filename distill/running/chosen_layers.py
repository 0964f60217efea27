"""The teachers' Q curves and the pairs of layers that a run distils."""

from __future__ import annotations

from collections.abc import Iterator

from distill.running.norms import high_norms
from distill.running.pairing import check_counts, check_student, choose, choose_evenly
from distill.running.scoring import score_teacher
from distill.running.session import Session
from distill.running.teaching import Teaching
from distill.types import Event

Events = Iterator[Event]
_HIGH = (
    "The features of teacher layer {} are far larger than those of most layers; the loss may diverge on them. If it "
    "does, leave the layer out, or normalise the teacher's features where the recipe can."
)


def choose_layers(session: Session) -> Events:
    """Q curve and pairs, for recipes that need them."""
    if not session.task.recipe.needs_layers or session.task.teacher is None:
        return
    check_counts(session)
    check_student(session)
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
