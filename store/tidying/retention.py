"""Ended jobs by age: first their history or files, then the whole job, never what another job names."""

from __future__ import annotations

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


def apply(settings: Settings, database: Database, objects: ObjectStore) -> Iterator[tuple[str, int]]:
    """One batch of each kind; what it was and how many jobs it concerned."""
    rules: tuple[tuple[str, float, Callable[[float], Select[str]], Removal], ...] = (
        ("jobs", settings.keep_jobs_days, _old, _whole),
        ("files_of_jobs", settings.keep_files_days, _with_files, _files),
        ("histories_of_jobs", settings.keep_history_days, _with_history, _history),
    )
    for name, days, query, removal in rules:
        if days:
            yield name, _each(database, objects, query(days * DAY_SECONDS), removal)


def _each(database: Database, objects: ObjectStore, query: Select[str], removal: Removal) -> int:
    with database.read() as session:
        ids = list(session.scalars(query.order_by(Job.id).limit(BATCH)))
    done = 0
    for job_id in ids:
        with database.write() as session:
            job = session.scalar(select(Job).where(Job.id == job_id, Job.status.in_(TERMINAL)).with_for_update())
            if job is None or session.scalar(select(_named(job_id))):  # retried or named since
                continue
            keys = removal(session, job)
        done += 1
        _drop(objects, keys)
    return done


def _drop(objects: ObjectStore, keys: list[str]) -> None:
    """Behind the commit: an object without a row is found as an orphan, a row without its object is a lie."""
    try:
        for key in keys:
            objects.delete(key)
    except StorageUnavailable as error:
        log.warning("files of removed rows stay for the sweep of orphans: %s", error)


def _old(seconds: float) -> Select[str]:
    other = aliased(Job)
    named = exists().where(other.compare_with == Job.id)
    return select(Job.id).where(Job.status.in_(TERMINAL), Job.finished_at < db_now(-seconds), ~named)


def _with_files(seconds: float) -> Select[str]:
    has = [exists().where(table.job_id == Job.id) for table in (Artifact, Checkpoint)]
    return _old(seconds).where(or_(*has))


def _with_history(seconds: float) -> Select[str]:
    events = exists().where(and_(JobEvent.job_id == Job.id, JobEvent.seq < Job.event_seq))
    rest = [exists().where(table.job_id == Job.id) for table in (Metric, LogLine)]
    return _old(seconds).where(or_(events, *rest))


def _named(job_id: str) -> Exists:
    return exists().where(Job.compare_with == job_id)


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
