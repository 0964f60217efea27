"""A study's trials: which jobs it made, and what came of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Text, and_, cast, exists, func, or_, select, type_coerce, update
from sqlalchemy.orm import Session

from store.clock import UTCDateTime, db_now
from store.repositories.events import MOST
from store.states import TERMINAL
from store.tables import Attempt, Job, Metric, Trial


def of(session: Session, study_id: str, *states: str) -> list[Trial]:
    """In their order; `states`: only of these."""
    query = select(Trial).where(Trial.study_id == study_id).order_by(Trial.number)
    return list(session.scalars(query.where(Trial.state.in_(states)) if states else query))


def behind(session: Session, study_id: str, number: int, also: Sequence[int]) -> list[Trial]:
    """From this number on, and those with the numbers of `also`, in their order, as they are now."""
    wanted = or_(Trial.number >= number, Trial.number.in_(also)) if also else Trial.number >= number
    query = select(Trial).where(Trial.study_id == study_id, wanted).order_by(Trial.number)
    return list(session.scalars(query.execution_options(populate_existing=True)))


def page(session: Session, study_id: str, after: int, limit: int, states: Sequence[str] = ()) -> list[Trial]:
    """Behind the number `after` (-1: from the first), oldest first."""
    query = select(Trial).where(Trial.study_id == study_id, Trial.number > min(after, MOST))
    if states:
        query = query.where(Trial.state.in_(states))
    return list(session.scalars(query.order_by(Trial.number).limit(limit)))


def with_digest(session: Session, study_id: str, digest: str) -> bool:
    """Whether a configuration that does the same was tried."""
    query = select(Trial.number).where(Trial.study_id == study_id, Trial.digest == digest)
    return session.scalar(query.limit(1)) is not None


def counts(session: Session, study_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """study -> state -> trials, and `configurations`."""
    found: dict[str, dict[str, int]] = {study_id: {} for study_id in study_ids}
    of_states = select(Trial.study_id, Trial.state, func.count()).where(Trial.study_id.in_(study_ids))
    for study_id, state, number in session.execute(of_states.group_by(Trial.study_id, Trial.state)):
        found[study_id][state] = number
    last = select(Trial.study_id, func.max(Trial.configuration)).where(Trial.study_id.in_(study_ids))
    for study_id, number in session.execute(last.group_by(Trial.study_id)):
        found[study_id]["configurations"] = number + 1
    return found


def studies_of(session: Session, job_ids: Sequence[str]) -> dict[str, str]:
    """job -> the study that made it, of those that a study made."""
    query = select(Trial.job_id, Trial.study_id).where(Trial.job_id.in_(job_ids))
    return {str(row[0]): row[1] for row in session.execute(query)}


def jobs_of(session: Session, trials: Iterable[Trial]) -> dict[str, Job]:
    """Their jobs by id, as they are now; those that were deleted are missing."""
    ids = [trial.job_id for trial in trials if trial.job_id is not None]
    query = select(Job).where(Job.id.in_(ids)).execution_options(populate_existing=True)
    return {job.id: job for job in session.scalars(query)}


def validations(session: Session, job_ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """job -> the values of its validations so far, first to last."""
    query = select(Metric.job_id, Metric.values).where(Metric.job_id.in_(job_ids), Metric.split == "validation")
    found: dict[str, list[dict[str, Any]]] = {}
    for job_id, values in session.execute(query.order_by(Metric.job_id, Metric.step)):
        found.setdefault(job_id, []).append(values)
    return found


def seconds(session: Session, job_ids: Sequence[str]) -> dict[str, float]:
    """job -> how long workers have held it, all attempts together, one that goes on up to now."""
    spans = select(Attempt.job_id, Attempt.started_at, Attempt.finished_at, type_coerce(db_now(), UTCDateTime()))
    found = dict.fromkeys(job_ids, 0.0)
    for job_id, started, finished, now in session.execute(spans.where(Attempt.job_id.in_(job_ids))):
        found[job_id] += max(0.0, float(((finished or now) - started).total_seconds()))
    return found


def used_seconds(session: Session, study_ids: Sequence[str]) -> dict[str, float]:
    """study -> how long workers have held its ended trials."""
    query = select(Trial.study_id, func.sum(Trial.seconds)).where(Trial.study_id.in_(study_ids))
    return {row[0]: float(row[1] or 0.0) for row in session.execute(query.group_by(Trial.study_id))}


def any_ended(session: Session, study_id: str) -> bool:
    """Whether the job of an active trial has ended, or is gone."""
    gone = or_(Trial.job_id.is_(None), exists().where(and_(Job.id == Trial.job_id, Job.status.in_(TERMINAL))))
    query = select(Trial.number).where(Trial.study_id == study_id, Trial.state == "active", gone)
    return session.scalar(query.limit(1)) is not None


def any_validated(session: Session, study_id: str) -> bool:
    """Whether an active trial has been validated more often than was told."""
    active = select(Trial.job_id, Trial.reported).join(Job, Job.id == Trial.job_id)
    going_on = active.where(Trial.study_id == study_id, Trial.state == "active", Job.stop_requested.is_(False))
    told = {row[0]: len(row[1]) for row in session.execute(going_on) if row[0] is not None}
    query = select(Metric.job_id, func.count()).where(Metric.job_id.in_(told), Metric.split == "validation")
    return any(number > told[job_id] for job_id, number in session.execute(query.group_by(Metric.job_id)))


def runs(session: Session, study_id: str) -> Iterator[tuple[Any, ...]]:
    """What a table is made of, without the rest of the rows: of each trial configuration, seed, purpose, assignment,
    state, outcome, values and test figures. A column of JSON is read at once: of ten thousand trials that takes a third
    of the time of reading it cell by cell."""
    plain = (Trial.configuration, Trial.seed, Trial.purpose, Trial.state, Trial.outcome)
    texts = (cast(each, Text) for each in (Trial.assignment, Trial.values, Trial.test))
    query = select(*plain, *texts).where(Trial.study_id == study_id).order_by(Trial.number)
    rows = session.execute(query).all()
    assignments, values, tests = (_parsed([row[place] for row in rows]) for place in (5, 6, 7))
    for row, assignment, value, test in zip(rows, assignments, values, tests, strict=True):
        configuration, seed, purpose, state, outcome = row[:5]
        yield configuration, seed, purpose, assignment, state, outcome, value, test


def _parsed(texts: Sequence[Any]) -> list[Any]:
    found: list[Any] = json.loads(f"[{','.join(text or 'null' for text in texts)}]")
    return found


def forget_tests(session: Session, study_id: str) -> None:
    """A study that goes on reports nothing yet: figures of the test set come with its next end."""
    session.execute(update(Trial).where(Trial.study_id == study_id, Trial.test.is_not(None)).values(test=None))


@dataclass(frozen=True, slots=True)
class Scored:
    """A job of the search that has begun to score its first teacher, and the layers of it that were chosen."""

    configuration: int
    job_id: str
    teacher_id: str | None
    digest: str
    layers: list[str]


def scored(session: Session, study_id: str) -> list[Scored]:
    """Those that have ended first: their curves are whole."""
    wanted = (Trial.configuration, Job.id, Job.teacher_id, Job.curve, Job.selection)
    query = select(*wanted).join(Job, Job.id == Trial.job_id).where(Trial.study_id == study_id)
    query = query.where(Trial.purpose == "search").order_by(Trial.state == "active", Trial.number)
    return [
        Scored(number, job_id, teacher_id, curve["digest"], (selection or {}).get("teacher_layers", []))
        for number, job_id, teacher_id, curve, selection in session.execute(query)
        if curve and curve.get("digest")
    ]


def first_jobs(session: Session, study_id: str) -> dict[int, str]:
    """configuration -> the first of its jobs that is still there."""
    query = select(Trial.configuration, Trial.job_id).where(Trial.study_id == study_id, Trial.job_id.is_not(None))
    return {row[0]: str(row[1]) for row in session.execute(query.order_by(Trial.number.desc()))}
