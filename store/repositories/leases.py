"""Claim, renew, fence, give back, expire: how one worker at a time owns a job (docs/execution.md).

All times are the database's. Every write of a holder is `WHERE lease_token = :token`; no row means another attempt
owns the job now, and the holder must stop.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from sqlalchemy import Select, and_, func, or_, select, type_coerce, update
from sqlalchemy.orm import Session, aliased
from sqlalchemy.sql.expression import ColumnElement

from store.clock import UTCDateTime, db_now
from store.ids import new_id
from store.repositories import events, jobs, shares, tallies
from store.states import LEASED, IllegalTransition, Status, sources
from store.tables import Attempt, Job, JobEvent, Tenant


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
    request_id: str | None = None  # of the request that made the job
    traceparent: str | None = None  # of its submission
    hosts: int = 1  # that the job asks for


def queued(
    session: Session,
    limit: int = 20,
    max_running: int = 0,
    processes: int = shares.MOST_PROCESSES,
    lane: shares.Lane = "slots",
    hosts: Sequence[int] = (),
    lacked: Collection[str] = (),
) -> list[str]:
    """Ids of jobs that may start now, in the order of `shares`. `max_running`: how many of one tenant's jobs
    may run side by side where it has no quota of its own; 0: any number. `processes`: how many a job may have where
    they are to run, and `hosts` the devices of each host of the cluster there. `lane`: where; each has its queue.
    `lacked`: export formats that cannot be written there."""
    return list(session.scalars(_waiting(limit, max_running, processes, lane, tuple(hosts), frozenset(lacked))))


@lru_cache(64)
def _waiting(
    limit: int, max_running: int, processes: int, lane: shares.Lane, hosts: tuple[int, ...], lacked: frozenset[str]
) -> Select[str]:  # fmt: skip
    """Put together once: every slot asks at every ring, and that is ten times the work of the question itself."""
    fits = shares.due(), shares.fits(processes, hosts), shares.written(lacked)
    return shares.in_order(max_running, lane, *fits).limit(limit)


def any_queued(
    session: Session, max_running: int = 0, processes: int = shares.MOST_PROCESSES, hosts: Sequence[int] = (),
    lacked: Collection[str] = (),
) -> bool:  # fmt: skip
    """Whether `queued` would find one: cheaper, because nothing is put in order."""
    return session.scalar(_any_waiting(max_running, processes, tuple(hosts), frozenset(lacked))) is not None


@lru_cache(64)
def _any_waiting(
    max_running: int, processes: int, hosts: tuple[int, ...], lacked: frozenset[str]
) -> Select[str]:  # fmt: skip
    conditions = (shares.due(), _room(max_running), shares.fits(processes, hosts), shares.written(lacked))
    lanes = (shares.queue("slots"), shares.queue("publications"), shares.queue("live"))
    return select(Job.id).where(Job.status == "queued", *conditions, or_(*lanes)).limit(1)


@lru_cache(16)
def _room(max_running: int) -> ColumnElement[bool]:
    """Whether the job's tenant has fewer jobs under lease than it may: of those that publish or of those that do not,
    as the job itself. One that follows a job that runs has that job's room."""
    held = aliased(Job)
    alike = held.publication.is_(None) == Job.publication.is_(None)
    count = select(func.count()).where(held.tenant_id == Job.tenant_id, held.status.in_(LEASED), alike)
    count = count.where(~shares.queue("live", held))
    most = select(func.coalesce(Tenant.max_running_jobs, max_running)).where(Tenant.id == Job.tenant_id)
    limit = most.correlate(Job).scalar_subquery()
    return or_(limit == 0, shares.queue("live"), count.correlate(Job).scalar_subquery() < limit)


def claim(session: Session, job_id: str, worker_id: str, lease_seconds: float, max_running: int = 0) -> Lease | None:
    """Take a queued job by one conditional UPDATE; None when there is nothing to take, or its tenant has no room."""
    # Until commit nobody else counts this tenant's jobs. SQLite has one writer at a time anyway.
    owner = select(Tenant.id).join(Job, Job.tenant_id == Tenant.id).where(Job.id == job_id)
    tenant_id = session.scalar(owner.with_for_update(of=Tenant, key_share=True))
    waited = _waited(session, job_id)
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
        "started_at": func.coalesce(Job.started_at, db_now()),
    }
    taken = update(Job).where(Job.id == job_id, Job.status == "queued", _room(max_running)).values(**values)
    facts = (Job.attempt, Job.stop_requested, Job.request_id, Job.traceparent, Job.hosts)
    returned = session.execute(taken.returning(*facts), execution_options={"synchronize_session": False}).first()
    if returned is None:
        return None
    lease = Lease(job_id, token, returned.attempt, worker_id, *returned[2:])
    session.add(Attempt(id=new_id("att"), job_id=job_id, number=lease.attempt, worker_id=worker_id))
    events.append(session, job_id, "status", {"status": "running", "attempt": lease.attempt}, lease.attempt)
    if returned.stop_requested:
        _still_stopping(session, lease)
    served = update(Tenant).where(Tenant.id == tenant_id).values(served_at=db_now())
    session.execute(served, execution_options={"synchronize_session": False})
    tallies.note_claim(session, waited)
    return lease


def _waited(session: Session, job_id: str) -> float:
    """Seconds since the job could have started: it was queued, and its back-off was over."""
    last = and_(JobEvent.job_id == Job.id, JobEvent.seq == Job.event_seq)
    query = select(JobEvent.created_at, Job.not_before, type_coerce(db_now(), UTCDateTime())).join(JobEvent, last)
    row = session.execute(query.where(Job.id == job_id)).first()
    if row is None:
        return 0.0
    return max(0.0, float((row[2] - max(filter(None, row[:2]))).total_seconds()))


def overtime(session: Session, lease: Lease) -> None:
    """The job has run for as long as it may: it is to stop and keep its best student. Raises `LeaseLost`."""
    fenced(session, lease)  # the row is locked before it is read: what its owner has asked for meanwhile stays
    if status_of(session, lease) == "running":
        fenced(session, lease, status="stopping", stop_requested=True, stop_reason="max_runtime")
        data = {"status": "stopping", "reason": "max_runtime"}
        events.append(session, lease.job_id, "status", data, lease.attempt)


def used_seconds(session: Session, lease: Lease) -> float:
    """How long earlier attempts of the job have held it."""
    spans = select(Attempt.started_at, Attempt.finished_at).where(
        Attempt.job_id == lease.job_id, Attempt.number != lease.attempt, Attempt.finished_at.is_not(None)
    )
    return sum(float((ended - started).total_seconds()) for started, ended in session.execute(spans) if ended)


def _still_stopping(session: Session, lease: Lease) -> None:
    """A stop that an earlier attempt did not live to carry out."""
    fenced(session, lease, status="stopping")
    events.append(session, lease.job_id, "status", {"status": "stopping"}, lease.attempt)


def next_due(session: Session) -> float | None:
    """Seconds until the next job that waits out its back-off may start, 0 at least; None when none waits."""
    waiting = select(func.min(Job.not_before), type_coerce(db_now(), UTCDateTime())).where(
        Job.status == "queued", Job.not_before.is_not(None)
    )
    due, now = session.execute(waiting).one()
    return None if due is None else max(0.0, (due - now).total_seconds())


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


@dataclass(frozen=True, slots=True)
class Ending:
    """How a holder wants to end its claim. `queued` needs an outcome; with `counts` it uses up one of the job's
    attempts and waits `back_off_seconds`, doubled with every fault, before it starts again."""

    status: Status
    outcome: str
    error: dict[str, Any] | None = None
    counts: bool = False
    back_off_seconds: float = 0.0
    exit_code: int | None = None
    peak_memory_bytes: int | None = None


MAX_BACK_OFF_SECONDS = 300.0


def finish(
    session: Session,
    lease: Lease,
    status: Status,
    outcome: str,
    error: dict[str, Any] | None = None,
    **values: Any,
) -> bool:
    """End the claim and move the job to `status`. False when the job's state no longer allows it (cancelled while
    succeeding, say): the caller looks again at the state and ends accordingly. Raises `LeaseLost`."""
    fenced(session, lease)
    ended = status not in {"queued", "paused"}
    values |= {"status": status, "lease_token": None, "lease_until": None, "error": error}
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


def settle(session: Session, lease: Lease, ending: Ending) -> Status:
    """End the claim as its holder wants, as far as its owner's requests and the attempts left allow: a job that is
    `cancelling` ends cancelled whatever its trainer made of it, a `pausing` one that would queue again is paused, one
    without attempts left fails. Returns the job's new status. Raises `LeaseLost`."""
    fenced(session, lease)
    job = session.get_one(Job, lease.job_id, populate_existing=True)
    ending, values = _allowed(job, ending)
    if not finish(session, lease, ending.status, ending.outcome, ending.error, **values):
        raise IllegalTransition(job.status, ending.status)
    facts = {"exit_code": ending.exit_code, "peak_memory_bytes": ending.peak_memory_bytes}
    which = and_(Attempt.job_id == lease.job_id, Attempt.number == lease.attempt)
    session.execute(update(Attempt).where(which).values(**facts), execution_options={"synchronize_session": False})
    if ending.status == "cancelled":
        jobs.drop_files(session, lease.job_id)
    return ending.status


def _allowed(job: Job, ending: Ending) -> tuple[Ending, dict[str, Any]]:
    """What may really happen to the job, and the columns that go with it."""
    if job.status == "cancelling":
        return replace(ending, status="cancelled", outcome="cancelled", error=None), {}
    if ending.status != "queued":
        return ending, {}
    faults = job.faults + int(ending.counts)
    if ending.counts and faults >= job.max_attempts:
        return replace(ending, status="failed"), {"faults": faults}
    if job.status == "pausing":
        return replace(ending, status="paused"), {"faults": faults}
    return ending, {"faults": faults, "not_before": _next_start(ending.back_off_seconds, faults)}


def _next_start(back_off_seconds: float, faults: int) -> db_now:
    return db_now(min(back_off_seconds * 2 ** max(0, faults - 1), MAX_BACK_OFF_SECONDS))


def close_attempt(session: Session, job_id: str, number: int, outcome: str, error: dict[str, Any] | None) -> None:
    """Note how an attempt ended; the first note stays."""
    which = and_(Attempt.job_id == job_id, Attempt.number == number, Attempt.outcome.is_(None))
    closed = update(Attempt).where(which).values(finished_at=db_now(), outcome=outcome, error=error)
    if session.execute(closed, execution_options={"synchronize_session": False}).rowcount:  # type: ignore[attr-defined]
        code = (error or {}).get("code")
        tallies.add(session, tallies.ATTEMPTS, f"{outcome}/{code}"[:100] if code else outcome)


def expired(session: Session, limit: int = 100) -> list[str]:
    """Ids of jobs whose holder has been silent for longer than its lease."""
    lost = and_(Job.status.in_(LEASED), Job.lease_until < db_now())
    return list(session.scalars(select(Job.id).where(lost).limit(limit)))


def expire(session: Session, job_id: str, back_off_seconds: float) -> Status | None:
    """Take a job from a silent holder: `cancelling` ends cancelled, `pausing` paused, others queue again while
    attempts are left. None when its holder came back in the meantime."""
    job = session.scalar(select(Job).where(Job.id == job_id).with_for_update())
    if job is None or job.status not in LEASED or job.lease_token is None:
        return None
    held = and_(Job.id == job_id, Job.lease_token == job.lease_token, Job.lease_until < db_now())
    if session.scalar(select(Job.id).where(held)) is None:
        return None
    lease = Lease(job_id, job.lease_token, job.attempt, job.worker_id or "")
    lost = Ending("queued", "worker_lost", _worker_lost(job), counts=True, back_off_seconds=back_off_seconds)
    return settle(session, lease, lost)


def _status_data(status: Status, error: dict[str, Any] | None) -> dict[str, Any]:
    return {"status": status} | ({"error": error} if error else {})


def _worker_lost(job: Job) -> dict[str, Any]:
    final = job.faults + 1 >= job.max_attempts
    return {
        "code": "max_attempts_exceeded" if final else "worker_lost",
        "message": f"Worker {job.worker_id} stopped answering during attempt {job.attempt}.",
        "remedy": "See the worker's log; retry continues from the last checkpoint." if final else "",
        "fault": "system",
        "retryable": True,
        "details": {"worker_id": job.worker_id, "attempt": job.attempt, "max_attempts": job.max_attempts},
    }
