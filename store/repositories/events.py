"""A job's events, numbered without gaps in the transaction that causes them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from store.tables import Job, JobEvent

MOST = 2**31 - 1  # of an INTEGER: PostgreSQL refuses to compare with more


def append(session: Session, job_id: str, kind: str, data: dict[str, Any], attempt: int = 0) -> int:
    """Add one event and return its number. The job's row is locked until commit, so numbers have no gap and a
    reader that has seen n will never find a later event below n."""
    bump = update(Job).where(Job.id == job_id).values(event_seq=Job.event_seq + 1).returning(Job.event_seq)
    seq = session.execute(bump, execution_options={"synchronize_session": False}).scalar_one()
    session.add(JobEvent(job_id=job_id, seq=seq, kind=kind, data=data, attempt=attempt))
    session.flush()
    return seq


def after(session: Session, job_id: str, seq: int, limit: int) -> list[JobEvent]:
    """Events with a number above `seq`, in order."""
    seq = min(seq, MOST)
    query = select(JobEvent).where(JobEvent.job_id == job_id, JobEvent.seq > seq).order_by(JobEvent.seq).limit(limit)
    return list(session.scalars(query))
