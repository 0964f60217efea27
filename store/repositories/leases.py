"""Claim, renew, fence, give back, expire: how one worker at a time owns a job (../docs/DESIGN, "The way of a job").

All times are the database's. Every write of a holder is `WHERE lease_token = :token`; no row means another attempt
owns the job now, and the holder must stop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, or_, select, update
from sqlalchemy.orm import Session

from store.clock import db_now
from store.ids import new_id
from store.repositories import events
from store.states import LEASED, Status, sources
from store.tables import Attempt, Job


class LeaseLost(Exception):
    """Another attempt owns this now, or nobody does: stop, write nothing."""

    def __init__(self, resource_id: str) -> None:
        super().__init__(f"the lease of {resource_id} is not ours any more")
        self.resource_id = resource_id


@dataclass(frozen=True, slots=True)
class Lease:
    """Proof of a claim, needed for every write of its holder."""

    job_id: str
    token: str
    attempt: int
    worker_id: str


def queued(session: Session, limit: int = 20) -> list[str]:
    """Ids of jobs that may start now: highest priority first, then oldest."""
    due = or_(Job.not_before.is_(None), Job.not_before <= db_now())
    query = select(Job.id).where(Job.status == "queued", due).order_by(Job.priority.desc(), Job.id).limit(limit)
    return list(session.scalars(query))


def claim(session: Session, job_id: str, worker_id: str, lease_seconds: float) -> Lease | None:
    """Take a queued job by one conditional UPDATE; None when there is nothing to take."""
    token = new_id("lse")
    values: dict[str, Any] = {
        "status": "running",
        "phase": "fetching",
        "attempt": Job.attempt + 1,
        "lease_token": token,
        "lease_until": db_now(lease_seconds),
        "heartbeat_at": db_now(),
        "worker_id": worker_id,
        "not_before": None,
        "started_at": db_now(),
    }
    taken = update(Job).where(Job.id == job_id, Job.status == "queued").values(**values).returning(Job.attempt)
    attempt = session.execute(taken, execution_options={"synchronize_session": False}).scalar()
    if attempt is None:
        return None
    session.add(Attempt(id=new_id("att"), job_id=job_id, number=attempt, worker_id=worker_id))
    events.append(session, job_id, "status", {"status": "running", "attempt": attempt}, attempt)
    return Lease(job_id, token, attempt, worker_id)


def fenced(session: Session, lease: Lease, **values: Any) -> None:
    """Update the job's row if the lease still holds (locking it until commit). Raises `LeaseLost`."""
    held = update(Job).where(Job.id == lease.job_id, Job.lease_token == lease.token)
    done = session.execute(
        held.values(heartbeat_at=db_now(), **values), execution_options={"synchronize_session": False}
    )
    if done.rowcount != 1:  # type: ignore[attr-defined]
        raise LeaseLost(lease.job_id)


def renew(session: Session, lease: Lease, lease_seconds: float) -> Status:
    """Extend the lease and return the job's status: how a holder learns of cancel, stop and pause."""
    fenced(session, lease, lease_until=db_now(lease_seconds))
    return status_of(session, lease)


def status_of(session: Session, lease: Lease) -> Status:
    """The job's status, if the lease still holds. Raises `LeaseLost`. Takes no lock."""
    status: Any = session.scalar(select(Job.status).where(Job.id == lease.job_id, Job.lease_token == lease.token))
    if status is None:
        raise LeaseLost(lease.job_id)
    found: Status = status
    return found


def finish(session: Session, lease: Lease, status: Status, outcome: str, error: dict[str, Any] | None = None) -> bool:
    """End the claim and move the job to `status`. False when the job's state no longer allows it (cancelled while
    succeeding, say): the caller looks again at the state and ends accordingly. Raises `LeaseLost`."""
    fenced(session, lease)
    ended = status not in {"queued", "paused"}
    values: dict[str, Any] = {"status": status, "lease_token": None, "lease_until": None, "error": error}
    if ended:
        values["finished_at"] = db_now()
    if not ended or status == "succeeded":
        values["phase"] = None
    allowed = update(Job).where(Job.id == lease.job_id, Job.status.in_(sources(status)))
    done = session.execute(allowed.values(**values), execution_options={"synchronize_session": False})
    if done.rowcount != 1:  # type: ignore[attr-defined]
        return False
    close_attempt(session, lease.job_id, lease.attempt, outcome, error)
    events.append(session, lease.job_id, "status", _status_data(status, error), lease.attempt)
    return True


def close_attempt(session: Session, job_id: str, number: int, outcome: str, error: dict[str, Any] | None) -> None:
    """Note how an attempt ended; the first note stays."""
    which = and_(Attempt.job_id == job_id, Attempt.number == number, Attempt.outcome.is_(None))
    session.execute(update(Attempt).where(which).values(finished_at=db_now(), outcome=outcome, error=error))


def expired(session: Session, limit: int = 100) -> list[str]:
    """Ids of jobs whose holder has been silent for longer than its lease."""
    lost = and_(Job.status.in_(LEASED), Job.lease_until < db_now())
    return list(session.scalars(select(Job.id).where(lost).limit(limit)))


def expire(session: Session, job_id: str, back_off_seconds: float) -> Status | None:
    """Take a job from a silent holder: `cancelling` ends cancelled, others queue again while attempts are left.
    None when its holder came back in the meantime."""
    job = session.scalar(select(Job).where(Job.id == job_id).with_for_update())
    if job is None or job.status not in LEASED:
        return None
    error = _worker_lost(job)
    status: Status = "cancelled" if job.status == "cancelling" else "queued"
    if status == "queued" and job.attempt >= job.max_attempts:
        status = "failed"
    values: dict[str, Any] = {"status": status, "lease_token": None, "lease_until": None}
    values |= {"not_before": db_now(back_off_seconds)} if status == "queued" else {"finished_at": db_now()}
    if status == "failed":
        values["error"] = error
    still = and_(Job.id == job_id, Job.lease_token == job.lease_token, Job.lease_until < db_now())
    taken = session.execute(update(Job).where(still).values(**values), execution_options={"synchronize_session": False})
    if taken.rowcount != 1:  # type: ignore[attr-defined]
        return None
    close_attempt(session, job_id, job.attempt, "worker_lost", error)
    events.append(session, job_id, "status", _status_data(status, error), job.attempt)
    return status


def _status_data(status: Status, error: dict[str, Any] | None) -> dict[str, Any]:
    return {"status": status} | ({"error": error} if error else {})


def _worker_lost(job: Job) -> dict[str, Any]:
    final = job.attempt >= job.max_attempts
    return {
        "code": "max_attempts_exceeded" if final else "worker_lost",
        "message": f"Worker {job.worker_id} stopped answering during attempt {job.attempt} of {job.max_attempts}.",
        "remedy": "See the worker's log; retry continues from the last checkpoint." if final else "",
        "fault": "system",
        "retryable": True,
        "details": {"worker_id": job.worker_id, "attempt": job.attempt},
    }
