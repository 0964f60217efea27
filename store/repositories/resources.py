"""Teachers and datasets: rows that a worker inspects before they can be used."""

from __future__ import annotations

from typing import Any, TypeVar

from sqlalchemy import and_, delete, exists, not_, or_, select, update
from sqlalchemy.orm import Session

from store import references, shard_references, thumbnails
from store.clock import db_now
from store.ids import new_id
from store.repositories.leases import LeaseLost
from store.repositories.page import newest_first
from store.sources import stored
from store.states import TERMINAL
from store.tables import Dataset, DatasetPart, Job, JobTeacher, Teacher

Resource = TypeVar("Resource", Teacher, Dataset)


def get(session: Session, table: type[Resource], tenant_id: str, resource_id: str) -> Resource | None:
    """The row, if it is this tenant's."""
    row = session.get(table, resource_id)
    return row if row is not None and row.tenant_id == tenant_id else None


def page(
    session: Session, table: type[Resource], tenant_id: str, before: str | None, limit: int
) -> tuple[list[Resource], bool]:
    """A tenant's rows, newest first, and whether more follow."""
    return newest_first(session, select(table).where(table.tenant_id == tenant_id), table.id, before, limit)


def jobs_using(session: Session, row: Teacher | Dataset) -> list[str]:
    """Ids of jobs that refer to the row, also of those to come whose student starts from it or is judged by it; it
    cannot be deleted while there are any."""
    column = Job.teacher_id if isinstance(row, Teacher) else Job.dataset_id
    beside = Job.start["teacher"].as_string() if isinstance(row, Teacher) else Job.probe_id
    to_come = and_(beside == row.id, Job.status.not_in(TERMINAL))
    among = Job.id.in_(select(JobTeacher.job_id).where(JobTeacher.teacher_id == row.id))
    return list(session.scalars(select(Job.id).where(or_(column == row.id, among, to_come)).order_by(Job.id).limit(20)))


def object_keys(row: Teacher | Dataset) -> list[str]:
    """Objects that belong to the row and go with it, also those that an inspection may still write."""
    if isinstance(row, Teacher):
        return [row.object_key, *(file.object_key for file in stored(row.source))]
    files = [file.get("object_key") or references.object_key(row.id, role) for role, file in row.files.items()]
    index = shard_references.object_keys(row.id) if row.kind == shard_references.KIND else []
    return [*files, *index, thumbnails.object_key(row.id)]


def waiting(session: Session, table: type[Resource], limit: int = 20, streamed: bool | None = None) -> list[str]:
    """Ids of rows to inspect that nobody holds, oldest first; of datasets that are read in parts
    (`store.repositories.parts`) those of which no part waits. `streamed`: only datasets of shards, which may take hours
    to read, or only others; None: all."""
    free = or_(table.lease_until.is_(None), table.lease_until < db_now())
    query = select(table.id).where(table.status == "inspecting", free).order_by(table.id).limit(limit)
    if table is Dataset:
        query = query.where(~exists().where(DatasetPart.dataset_id == Dataset.id, DatasetPart.status == "waiting"))
    if streamed is not None and table is Dataset:
        is_stream = Dataset.kind == shard_references.KIND
        query = query.where(is_stream if streamed else not_(is_stream))
    return list(session.scalars(query))


def claim(
    session: Session, table: type[Resource], resource_id: str, worker_id: str, lease_seconds: float
) -> Resource | None:
    """Take the row for inspection by one conditional UPDATE; None when another holds it or it is done."""
    free = or_(table.lease_until.is_(None), table.lease_until < db_now())
    values: dict[str, Any] = {
        "attempt": table.attempt + 1,
        "lease_token": new_id("lse"),
        "lease_until": db_now(lease_seconds),
        "worker_id": worker_id,
    }
    claimed = update(table).where(table.id == resource_id, table.status == "inspecting", free).values(**values)
    return session.scalar(claimed.returning(table), execution_options={"populate_existing": True})


def renew(session: Session, row: Teacher | Dataset, lease_seconds: float) -> None:
    """Extend the lease. Raises `LeaseLost`."""
    _fenced(session, row, {"lease_until": db_now(lease_seconds)})


def amend(session: Session, row: Teacher | Dataset, **values: Any) -> None:
    """Write what an inspection has learnt on its way. Raises `LeaseLost`."""
    _fenced(session, row, values)


def release(session: Session, row: Teacher | Dataset, seconds: float) -> None:
    """Give the row back after `seconds`, uninspected through no fault of its own, so that the attempt does not count.
    Raises `LeaseLost`."""
    _fenced(session, row, {"lease_until": db_now(seconds), "attempt": type(row).attempt - 1})


def give_back(session: Session, row: Teacher | Dataset, **values: Any) -> None:
    """Write what was learnt, and let others go on at once; the attempt does not count. Raises `LeaseLost`."""
    freed = {"lease_token": None, "lease_until": None, "attempt": type(row).attempt - 1}
    _fenced(session, row, freed | values)


def finish(session: Session, row: Teacher | Dataset, status: str, **values: Any) -> None:
    """Write the inspection's outcome (`ready` with a report, `invalid` with an error, `sampled` with what was read) and
    let the row go, with its parts where it was read in parts."""
    if isinstance(row, Dataset):
        values.setdefault("reading", None)
    _fenced(session, row, {"status": status, "lease_token": None, "lease_until": None} | values)
    if isinstance(row, Dataset):
        own = delete(DatasetPart).where(DatasetPart.dataset_id == row.id)
        session.execute(own, execution_options={"synchronize_session": False})


def inspect_on(row: Dataset) -> None:
    """Let the rest be read of a dataset of which a sample was, or all of one that ended by the system's fault. The row
    is locked."""
    row.status, row.attempt, row.error = "inspecting", 0, None
    if row.shards and "inspection" in row.shards:
        row.shards = row.shards | {"inspection": "all"}


def _fenced(session: Session, row: Teacher | Dataset, values: dict[str, Any]) -> None:
    table = type(row)
    held = update(table).where(table.id == row.id, table.lease_token == row.lease_token)
    if session.execute(held.values(**values)).rowcount != 1:  # type: ignore[attr-defined]
        raise LeaseLost(row.id)
