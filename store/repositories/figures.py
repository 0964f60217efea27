"""What /metrics tells of the whole service, read from the database: true for any number of processes and restarts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, type_coerce
from sqlalchemy.orm import Session

from store.clock import UTCDateTime, db_now
from store.repositories import jobs, system, tallies
from store.states import LEASED
from store.tables import Dataset, Delivery, Job, JobEvent, Teacher


@dataclass(frozen=True, slots=True)
class Figures:
    """Ages in seconds, 0 where nothing waits. `leases_expired`: held in name, their holders silent."""

    jobs: dict[str, int]
    inspecting: int
    leases_held: int
    leases_expired: int
    queue_oldest_seconds: float
    workers: int
    slots: int
    messages: dict[str, int]
    message_oldest_seconds: float
    tallies: dict[str, dict[str, float]]


def read(session: Session, silent_seconds: float) -> Figures:
    """`silent_seconds`: a worker that was heard of since is alive."""
    live = system.live_workers(session, silent_seconds)
    return Figures(
        jobs=jobs.count_by_status(session, None),
        inspecting=_inspecting(session),
        leases_held=_leases(session, expired=False),
        leases_expired=_leases(session, expired=True),
        queue_oldest_seconds=_queue_age(session),
        workers=len(live),
        slots=sum(worker.slots for worker in live),
        messages=_messages(session),
        message_oldest_seconds=_message_age(session),
        tallies=tallies.read(session),
    )


def _inspecting(session: Session) -> int:
    tables = (Teacher, Dataset)
    counts = [select(func.count()).select_from(table).where(table.status == "inspecting") for table in tables]
    return sum(session.scalar(count) or 0 for count in counts)


def _leases(session: Session, expired: bool) -> int:
    over = Job.lease_until < db_now()
    held = select(func.count()).select_from(Job).where(Job.status.in_(LEASED), over if expired else ~over)
    return session.scalar(held) or 0


def _queue_age(session: Session) -> float:
    """Since when the longest waiting job waits: its last event is that it was queued. Those that wait out a back-off
    wait for themselves."""
    due = Job.not_before.is_(None) | (Job.not_before <= db_now())
    since: Any = func.coalesce(func.max(Job.not_before, JobEvent.created_at), JobEvent.created_at)
    if session.get_bind().dialect.name == "postgresql":
        since = func.greatest(Job.not_before, JobEvent.created_at)
    last = (JobEvent.job_id == Job.id) & (JobEvent.seq == Job.event_seq)
    query = select(func.min(type_coerce(since, UTCDateTime())), type_coerce(db_now(), UTCDateTime()))
    row = session.execute(query.join_from(Job, JobEvent, last).where(Job.status == "queued", due)).one()
    return 0.0 if row[0] is None else max(0.0, float((row[1] - row[0]).total_seconds()))


def _messages(session: Session) -> dict[str, int]:
    query = select(Delivery.status, func.count()).group_by(Delivery.status)
    return {row[0]: row[1] for row in session.execute(query)}


def _message_age(session: Session) -> float:
    """Since when the longest waiting message is due: made, sent again by hand, or its back-off over. One that waits for
    its next try, or is being tried, does not wait for us."""
    query = select(func.min(Delivery.next_at), type_coerce(db_now(), UTCDateTime()))
    row = session.execute(query.where(Delivery.status == "pending")).one()
    return 0.0 if row[0] is None else max(0.0, float((row[1] - row[0]).total_seconds()))
