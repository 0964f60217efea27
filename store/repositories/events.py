"""A job's events, numbered without gaps in the transaction that causes them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from store.repositories import outbox
from store.tables import Job, JobEvent

MOST = 2**31 - 1  # of an INTEGER: PostgreSQL refuses to compare with more


def append(session: Session, job_id: str, kind: str, data: dict[str, Any], attempt: int = 0) -> int:
    """Add one event and return its number. The job's row is locked until commit, so numbers have no gap and a
    reader that has seen n will never find a later event below n."""
    bump = update(Job).where(Job.id == job_id).values(event_seq=Job.event_seq + 1)
    changed = bump.returning(Job.event_seq, Job.tenant_id)
    seq, tenant_id = session.execute(changed, execution_options={"synchronize_session": False}).one()
    session.add(JobEvent(job_id=job_id, seq=seq, kind=kind, data=data, attempt=attempt))
    session.flush()
    if kind == "status":
        tell(session, tenant_id, job_id, data["status"], attempt)
    return int(seq)


def tell(session: Session, tenant_id: str, job_id: str, status: str, attempt: int) -> None:
    """Leave word for the tenant's webhooks: thin, who wants to know more asks the API."""
    outbox.tell(session, tenant_id, f"job.{status}", {"job_id": job_id, "status": status, "attempt": attempt})


def after(session: Session, job_id: str, seq: int, limit: int) -> list[JobEvent]:
    """Events with a number above `seq`, in order."""
    seq = min(seq, MOST)
    query = select(JobEvent).where(JobEvent.job_id == job_id, JobEvent.seq > seq).order_by(JobEvent.seq).limit(limit)
    return list(session.scalars(query))
