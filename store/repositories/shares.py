"""Fair share: in which order waiting jobs start when several tenants want slots (docs/execution.md).

Who has fewest jobs running comes first; among equals whoever has waited longest for a start; within a tenant the
highest priority, then the oldest. As a sort key of a tenant's t-th waiting job (t = 0, 1, ...) with r jobs running:

    (r + t, t, when the tenant was last served, the tenant's id)

which is the order of starts if nothing that runs ends: taking the first job raises its tenant's r by one and lowers its
other jobs' t by one, so that no key changes but for its first place among equals.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, Text, and_, case, cast, exists, false, func, literal, or_, select
from sqlalchemy.orm import Session, aliased

from store.clock import db_now
from store.states import LEASED, TERMINAL
from store.tables import Job, Tenant

Lane = Literal["slots", "publications", "live"]
"""Where a job runs: in a slot; in the lane of publications of finished jobs; in one of those that follow a job that
runs (decision 0031)."""


def in_order(max_running: int, lane: Lane, *conditions: ColumnElement[bool]) -> Select[str]:
    """Ids of waiting jobs of the lane that meet the conditions and whose tenant has fewer than `max_running` (or its
    own number) under lease there, the next to start first. 0: no limit."""
    held = (
        select(Job.tenant_id, func.count().label("running"))
        .where(Job.status.in_(LEASED), queue(lane))
        .group_by(Job.tenant_id)
        .subquery()
    )
    turn = func.row_number().over(partition_by=Job.tenant_id, order_by=(Job.priority.desc(), Job.id)) - 1
    running = func.coalesce(held.c.running, 0)
    most = literal(0) if lane == "live" else func.coalesce(Tenant.max_running_jobs, max_running)
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
        .where(Job.status == "queued", or_(most == 0, running < most), queue(lane), *conditions)
        .subquery()
    )
    c = waiting.c
    never = case((c.served_at.is_(None), 0), else_=1)
    return select(c.id).order_by(c.running + c.turn, c.turn, never, c.served_at, c.tenant_id)


MOST_PROCESSES = 64
"""Processes of one job."""


def fits(processes: int, hosts: Sequence[int]) -> ColumnElement[bool]:
    """Whether a job has room where a slot has so many devices for `processes`, and a cluster these `hosts`, by their
    devices. A job on several hosts has as many processes on each."""
    most_first = sorted(hosts, reverse=True)[:MOST_PROCESSES]
    wide = (and_(Job.hosts == n, Job.processes <= n * most_first[n - 1]) for n in range(2, len(most_first) + 1))
    return or_(and_(Job.hosts == 1, Job.processes <= processes), *wide)


def written(lacked: Collection[str]) -> ColumnElement[bool]:
    """Whether a job asks for none of the export formats that a worker `lacked`: an export its own, a job that trains
    those of its configuration. In the text of the JSON, which every look at a long queue can afford."""
    wanted = func.coalesce(cast(Job.export, Text), cast(Job.config, Text))
    wants = (wanted.contains(json.dumps({"format": name})[1:-1], autoescape=True) for name in sorted(lacked))
    return or_(Job.publication.is_not(None), ~or_(false(), *wants))


def due() -> ColumnElement[bool]:
    """Whether a job waits out no back-off."""
    return or_(Job.not_before.is_(None), Job.not_before <= db_now())


def positions(session: Session, jobs: Sequence[Job], max_running: int = 0) -> dict[str, int]:
    """Of every waiting job among `jobs`, how many start before it: those that may start now in the order above, behind
    them in the same order those that may not, for a back-off or as their tenant has no room (`max_running`: where it
    has no number of its own). Publications wait in a queue of their own; one that follows a job waits in none. Counts
    by tenant, so ten thousand waiting jobs cost no more than their index."""
    waiting = [job for job in jobs if job.status == "queued"]
    found: dict[str, int] = {}
    lanes: tuple[Lane, ...] = ("slots", "publications")
    for lane in lanes:
        if alike := [job for job in waiting if (job.publication is not None) == (lane == "publications")]:
            found |= _positions(session, alike, max_running, queue(lane))
    return found


@lru_cache(64)
def queue(lane: Lane, job: Any = Job) -> ColumnElement[bool]:
    """Whether a job (or an alias of jobs) is of the lane. A publication whose own job waits is of none."""
    if lane == "slots":
        return job.publication.is_(None)  # type: ignore[no-any-return]
    whose = aliased(Job)
    going = exists().where(whose.id == job.student_of, whose.status.in_(LEASED))
    waits = exists().where(whose.id == job.student_of, whose.status.not_in(TERMINAL))
    return and_(job.publication.is_not(None), going if lane == "live" else ~waits)


def _positions(session: Session, waiting: list[Job], max_running: int, mine: ColumnElement[bool]) -> dict[str, int]:
    groups = _groups(session, max_running, mine)
    full = {tenant for tenant, ready in groups if not ready and groups[tenant, ready].full}
    turns = _turns(session, waiting, full, mine) if len(waiting) > FEW else _few_turns(session, waiting, full, mine)
    return {
        job.id: sum(each.before(groups[job.tenant_id, ready], turn) for each in groups.values())
        for job in waiting
        for ready, turn in [turns.get(job.id, (False, -1))]
        if turn >= 0 and (job.tenant_id, ready) in groups
    }


FEW = 3


@dataclass(frozen=True, slots=True)
class _Group:
    """Jobs of one tenant, all of which may start now (`ready`) or none of which may."""

    tenant_id: str
    ready: bool
    waiting: int
    running: int
    full: bool
    served_at: datetime | None

    @property
    def rank(self) -> tuple[Any, ...]:
        """Among equals the smallest first: never served, then longest ago."""
        return (self.served_at is not None, self.served_at and self.served_at.timestamp(), self.tenant_id)

    def before(self, other: _Group, turn: int) -> int:
        """How many of these start before the other's `turn`-th."""
        if self.ready != other.ready:
            return self.waiting if self.ready else 0
        level = other.running + turn - self.running  # this group's turn with an equal first member of the key
        equal = 0 <= level < self.waiting and (level, self.rank) < (turn, other.rank)
        return min(self.waiting, max(0, level)) + int(equal)


def _groups(session: Session, max_running: int, mine: ColumnElement[bool]) -> dict[tuple[str, bool], _Group]:
    """By tenant and whether its jobs may start now."""
    queued = select(Job.tenant_id, func.count(), func.sum(case((due(), 1), else_=0)))
    queued = queued.where(Job.status == "queued", mine)
    waiting = {row[0]: (row[1], int(row[2])) for row in session.execute(queued.group_by(Job.tenant_id))}
    held = select(Job.tenant_id, func.count()).where(Job.status.in_(LEASED), mine).group_by(Job.tenant_id)
    running = {row[0]: row[1] for row in session.execute(held)}
    facts = select(Tenant.id, Tenant.served_at, Tenant.max_running_jobs).where(Tenant.id.in_(waiting))
    groups = {}
    for tenant_id, served_at, own in session.execute(facts):
        most = max_running if own is None else own
        number, held_now = waiting[tenant_id], running.get(tenant_id, 0)
        full = bool(most) and held_now >= most
        ready = 0 if full else number[1]
        for is_ready, count in ((True, ready), (False, number[0] - ready)):
            if count:
                groups[tenant_id, is_ready] = _Group(tenant_id, is_ready, count, held_now, full, served_at)
    return groups


def _ready(full: set[str]) -> ColumnElement[int]:
    """1: the job may start now."""
    return case((Job.tenant_id.in_(sorted(full)), 0), (due(), 1), else_=0)


def _few_turns(
    session: Session, jobs: list[Job], full: set[str], mine: ColumnElement[bool]
) -> dict[str, tuple[bool, int]]:
    """Of each job whether it may start now, and how many jobs of its own tenant, alike in that, start before it."""
    ready = select(Job.id, _ready(full)).where(Job.id.in_([job.id for job in jobs]), Job.status == "queued", mine)
    known = {row[0]: row[1] for row in session.execute(ready)}
    return {
        job.id: (bool(known[job.id]), _turn(session, job, full, known[job.id], mine)) for job in jobs if job.id in known
    }


def _turn(session: Session, job: Job, full: set[str], ready: int, mine: ColumnElement[bool]) -> int:
    ahead = (Job.priority > job.priority) | ((Job.priority == job.priority) & (Job.id < job.id))
    own = select(func.count()).select_from(Job).where(Job.status == "queued", Job.tenant_id == job.tenant_id, ahead)
    own = own.where(mine)
    return session.scalar(own.where(_ready(full) == ready)) or 0


def _turns(session: Session, jobs: list[Job], full: set[str], mine: ColumnElement[bool]) -> dict[str, tuple[bool, int]]:
    """The same of many, in one query."""
    ready = _ready(full)
    turn = func.row_number().over(partition_by=(Job.tenant_id, ready), order_by=(Job.priority.desc(), Job.id)) - 1
    tenant_ids, job_ids = {job.tenant_id for job in jobs}, [job.id for job in jobs]
    own = select(Job.id, ready.label("ready"), turn.label("turn"))
    waiting = own.where(Job.status == "queued", mine, Job.tenant_id.in_(sorted(tenant_ids))).subquery()
    c = waiting.c
    found = session.execute(select(c.id, c.ready, c.turn).where(c.id.in_(job_ids)))
    return {row[0]: (bool(row[1]), int(row[2])) for row in found}
