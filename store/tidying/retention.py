"""Ended jobs by age: first their history or files, then the whole job, never what another job names."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator

from sqlalchemy import Exists, Select, and_, delete, exists, or_, select
from sqlalchemy.orm import Session, aliased

from store.clock import db_now
from store.database import Database
from store.objects import ObjectStore, StorageUnavailable
from store.repositories import idempotency, jobs
from store.settings import Settings
from store.states import TERMINAL
from store.tables import Artifact, Checkpoint, Job, JobEvent, LogLine, Metric

log = logging.getLogger(__name__)
DAY_SECONDS = 86400.0
BATCH = 100
_NO_SYNC = {"synchronize_session": False}
Removal = Callable[[Session, Job], list[str]]
Leaving = Callable[[], bool]


def apply(
    settings: Settings, database: Database, objects: ObjectStore, leaving: Leaving = lambda: False
) -> Iterator[tuple[str, int]]:
    """All there is of each kind, or what was done until `leaving`; what it was and how many jobs it concerned."""
    rules: tuple[tuple[str, float, Callable[[float], Select[str]], Removal], ...] = (
        ("jobs", settings.keep_jobs_days, _old, _whole),
        ("files_of_jobs", settings.keep_files_days, _with_files, _files),
        ("histories_of_jobs", settings.keep_history_days, _with_history, _history),
    )
    for name, days, query, removal in rules:
        if days:
            found = _found(database, query(days * DAY_SECONDS))
            going_on = itertools.takewhile(lambda _: not leaving(), found)
            yield name, sum(_one(database, objects, job_id, removal) for job_id in going_on)


def _found(database: Database, query: Select[str]) -> Iterator[str]:
    """In batches, each behind the last job of the one before: what could not go now is not met again."""
    last, full = "", True
    while full:
        with database.read() as session:
            ids = list(session.scalars(query.where(Job.id > last).order_by(Job.id).limit(BATCH)))
        yield from ids
        last, full = ids[-1] if ids else last, len(ids) == BATCH


def _one(database: Database, objects: ObjectStore, job_id: str, removal: Removal) -> bool:
    """In a transaction of its own, so that nobody waits long; False when the job was retried or named since."""
    with database.write() as session:
        job = session.scalar(select(Job).where(Job.id == job_id, Job.status.in_(TERMINAL)).with_for_update())
        if job is None or session.scalar(select(_named(job_id))):
            return False
        keys = removal(session, job)
    _drop(objects, keys)
    return True


def _drop(objects: ObjectStore, keys: list[str]) -> None:
    """Behind the commit: an object without a row is found as an orphan, a row without its object is a lie."""
    try:
        for key in keys:
            objects.delete(key)
    except StorageUnavailable as error:
        log.warning("files of removed rows stay for the sweep of orphans: %s", error)


def _old(seconds: float) -> Select[str]:
    other = aliased(Job)
    named = exists().where(or_(other.compare_with == Job.id, other.student_of == Job.id))
    return select(Job.id).where(Job.status.in_(TERMINAL), Job.finished_at < db_now(-seconds), ~named)


def _with_files(seconds: float) -> Select[str]:
    has = [exists().where(table.job_id == Job.id) for table in (Artifact, Checkpoint)]
    return _old(seconds).where(or_(*has))


def _with_history(seconds: float) -> Select[str]:
    events = exists().where(and_(JobEvent.job_id == Job.id, JobEvent.seq < Job.event_seq))
    rest = [exists().where(table.job_id == Job.id) for table in (Metric, LogLine)]
    return _old(seconds).where(or_(events, *rest))


def _named(job_id: str) -> Exists:
    return exists().where(or_(Job.compare_with == job_id, Job.student_of == job_id))


def _whole(session: Session, job: Job) -> list[str]:
    keys = jobs.object_keys(session, job.id)
    idempotency.release(session, job.tenant_id, job.id)
    jobs.delete(session, job.id)
    return keys


def _files(session: Session, job: Job) -> list[str]:
    keys = jobs.object_keys(session, job.id)
    for table in (Artifact, Checkpoint):
        session.execute(delete(table).where(table.job_id == job.id), execution_options=_NO_SYNC)
    return keys


def _history(session: Session, job: Job) -> list[str]:
    """The last event stays: a client that watches knows by it that the job has ended."""
    old = delete(JobEvent).where(JobEvent.job_id == job.id, JobEvent.seq < job.event_seq)
    session.execute(old, execution_options=_NO_SYNC)
    for table in (Metric, LogLine):
        session.execute(delete(table).where(table.job_id == job.id), execution_options=_NO_SYNC)
    return []
