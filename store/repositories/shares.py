"""Fair share: in which order waiting jobs start when several tenants want slots (docs/execution.md).

Who has fewest jobs running comes first; among equals whoever has waited longest for a start; within a tenant the
highest priority, then the oldest. As a sort key of a tenant's t-th waiting job (t = 0, 1, ...) with r jobs running:

    (r + t, t, when the tenant was last served, the tenant's id)

which is the order of starts if nothing that runs ends: taking the first job raises its tenant's r by one and lowers its
other jobs' t by one, so that no key changes but for its first place among equals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, or_, select
from sqlalchemy.orm import Session

from store.states import LEASED
from store.tables import Job, Tenant


def in_order(max_running: int, *conditions: ColumnElement[bool]) -> Select[str]:
    """Ids of waiting jobs that meet the conditions and whose tenant has fewer than `max_running` (or its own number)
    under lease, the next to start first. 0: no limit."""
    held = (
        select(Job.tenant_id, func.count().label("running"))
        .where(Job.status.in_(LEASED))
        .group_by(Job.tenant_id)
        .subquery()
    )
    turn = func.row_number().over(partition_by=Job.tenant_id, order_by=(Job.priority.desc(), Job.id)) - 1
    running = func.coalesce(held.c.running, 0)
    most = func.coalesce(Tenant.max_running_jobs, max_running)
    waiting = (
        select(
            Job.id,
            Job.tenant_id,
            turn.label("turn"),
            running.label("running"),
            Tenant.served_at,
        )
        .join(Tenant, Tenant.id == Job.tenant_id)
        .outerjoin(held, held.c.tenant_id == Job.tenant_id)
        .where(Job.status == "queued", or_(most == 0, running < most), *conditions)
        .subquery()
    )
    c = waiting.c
    never = case((c.served_at.is_(None), 0), else_=1)
    return select(c.id).order_by(c.running + c.turn, c.turn, never, c.served_at, c.tenant_id)


def positions(session: Session, jobs: Sequence[Job]) -> dict[str, int]:
    """Of every waiting job among `jobs`, how many start before it by the order above. Counts by tenant, so ten thousand
    waiting jobs cost no more than their index."""
    waiting = [job for job in jobs if job.status == "queued"]
    if not waiting:
        return {}
    tenants = _tenants(session)
    turns = _turns(session, waiting) if len(waiting) > FEW else {job.id: _turn(session, job) for job in waiting}
    return {
        job.id: sum(each.before(tenants[job.tenant_id], turns[job.id]) for each in tenants.values())
        for job in waiting
        if job.id in turns and job.tenant_id in tenants
    }


FEW = 3


@dataclass(frozen=True, slots=True)
class _Tenant:
    id: str
    waiting: int
    running: int
    served_at: datetime | None

    @property
    def rank(self) -> tuple[Any, ...]:
        """Among equals the smallest first: never served, then longest ago."""
        return (self.served_at is not None, self.served_at and self.served_at.timestamp(), self.id)

    def before(self, other: _Tenant, turn: int) -> int:
        """How many of this tenant's waiting jobs start before the other's `turn`-th."""
        level = other.running + turn - self.running  # this tenant's turn with an equal first member of the key
        equal = 0 <= level < self.waiting and (level, self.rank) < (turn, other.rank)
        return min(self.waiting, max(0, level)) + int(equal)


def _tenants(session: Session) -> dict[str, _Tenant]:
    count = select(Job.tenant_id, Job.status, func.count()).where(Job.status.in_(("queued", *sorted(LEASED))))
    waiting: dict[str, int] = {}
    running: dict[str, int] = {}
    for tenant_id, status, number in session.execute(count.group_by(Job.tenant_id, Job.status)):
        of = waiting if status == "queued" else running
        of[tenant_id] = of.get(tenant_id, 0) + number
    served = select(Tenant.id, Tenant.served_at).where(Tenant.id.in_(waiting))
    return {row[0]: _Tenant(row[0], waiting[row[0]], running.get(row[0], 0), row[1]) for row in session.execute(served)}


def _turn(session: Session, job: Job) -> int:
    """How many jobs of its own tenant start before it."""
    ahead = (Job.priority > job.priority) | ((Job.priority == job.priority) & (Job.id < job.id))
    own = select(func.count()).select_from(Job).where(Job.status == "queued", Job.tenant_id == job.tenant_id, ahead)
    return session.scalar(own) or 0


def _turns(session: Session, jobs: list[Job]) -> dict[str, int]:
    """The same of many, in one query."""
    turn = func.row_number().over(partition_by=Job.tenant_id, order_by=(Job.priority.desc(), Job.id)) - 1
    tenant_ids, job_ids = {job.tenant_id for job in jobs}, [job.id for job in jobs]
    own = select(Job.id, turn.label("turn")).where(Job.status == "queued", Job.tenant_id.in_(sorted(tenant_ids)))
    queue = own.subquery()
    found = session.execute(select(queue.c.id, queue.c.turn).where(queue.c.id.in_(job_ids)))
    return {row[0]: int(row[1]) for row in found}
