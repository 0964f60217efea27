"""Parts of datasets of shards, which several workers read at the same time (docs/decisions/0041).

A dataset that is read in parts waits for its verdict until no part waits any more (`resources.waiting`); then whoever
claims it joins them. Parts are claimed, renewed and fenced as jobs are. Where a part meets a problem, those behind it
are removed: what they would tell comes later in the order of the shards. Whoever writes a held part locks its dataset
first, as a deletion of the dataset does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, delete, func, or_, select, update
from sqlalchemy.orm import Session, aliased
from sqlalchemy.sql.expression import ColumnElement

from store.clock import db_now
from store.ids import new_id
from store.repositories import resources
from store.repositories.leases import LeaseLost
from store.tables import Dataset, DatasetPart


def divide(session: Session, row: Dataset, spans: Sequence[tuple[int, int]], **known: Any) -> None:
    """Make parts of the dataset, which its holder gives back for others to read. `known`: what `Dataset.reading` is to
    say beside its own. Raises `LeaseLost`."""
    told = {"parts": len(spans), "parts_read": 0, "shards": spans[-1][1], "shards_read": 0, "bytes_read": 0}
    resources.give_back(session, row, reading=told | known)
    session.add_all(
        DatasetPart(dataset_id=row.id, number=number, first=first, end=end) for number, (first, end) in enumerate(spans)
    )


def of_dataset(session: Session, dataset_id: str) -> list[DatasetPart]:
    """In their order."""
    query = select(DatasetPart).where(DatasetPart.dataset_id == dataset_id).order_by(DatasetPart.number)
    return list(session.scalars(query))


def waiting(session: Session, limit: int = 20) -> list[tuple[str, int]]:
    """Dataset and number of parts that nobody holds. Of the dataset first that fewest read; then the oldest one's, in
    their order."""
    held = aliased(DatasetPart)
    readers = (
        select(func.count())
        .where(held.dataset_id == DatasetPart.dataset_id, held.status == "waiting", held.lease_until >= db_now())
        .correlate(DatasetPart)
        .scalar_subquery()
    )
    query = select(DatasetPart.dataset_id, DatasetPart.number).where(DatasetPart.status == "waiting", _free())
    found = session.execute(query.order_by(readers, DatasetPart.dataset_id, DatasetPart.number).limit(limit))
    return [(row.dataset_id, row.number) for row in found]


def claim(
    session: Session, dataset_id: str, number: int, worker_id: str, lease_seconds: float
) -> tuple[DatasetPart, Dataset] | None:
    """Take the part by one conditional UPDATE; None when another holds it, or it is done or gone."""
    values: dict[str, Any] = {
        "attempt": DatasetPart.attempt + 1,
        "lease_token": new_id("lse"),
        "lease_until": db_now(lease_seconds),
        "worker_id": worker_id,
        "shards_read": 0,
        "bytes_read": 0,
    }
    this = and_(DatasetPart.dataset_id == dataset_id, DatasetPart.number == number)
    taken = update(DatasetPart).where(this, DatasetPart.status == "waiting", _free()).values(**values)
    part = session.scalar(taken.returning(DatasetPart), execution_options={"populate_existing": True})
    row = session.get(Dataset, dataset_id) if part is not None else None
    return (part, row) if part is not None and row is not None else None


def renew(session: Session, part: DatasetPart, lease_seconds: float, shards_read: int, bytes_read: int) -> None:
    """Extend the lease, and note how far the part was read. Raises `LeaseLost`."""
    values = {"lease_until": db_now(lease_seconds), "shards_read": shards_read, "bytes_read": bytes_read}
    _fenced(session, part, values)
    _note(session, part.dataset_id)


def release(session: Session, part: DatasetPart, seconds: float, *, counts: bool = False) -> None:
    """Give the part back after `seconds`, unread; `counts`: whether that was one of its attempts. Raises
    `LeaseLost`."""
    _fenced(session, part, {"lease_until": db_now(seconds), "attempt": DatasetPart.attempt - (0 if counts else 1)})


def finish(
    session: Session, part: DatasetPart, file: dict[str, Any] | None, entries: Sequence[Any], error: Any = None
) -> None:
    """The part was read, or met the problem `error`; then the parts behind it go. Raises `LeaseLost`."""
    values = {
        "status": "read" if error is None else "failed", "file": file, "entries": list(entries), "error": error,
        "shards_read": len(entries), "bytes_read": sum(entry["size_bytes"] for entry in entries),
        "lease_token": None, "lease_until": None,
    }  # fmt: skip
    _fenced(session, part, values)
    if error is not None:
        behind = and_(DatasetPart.dataset_id == part.dataset_id, DatasetPart.number > part.number)
        session.execute(delete(DatasetPart).where(behind), execution_options={"synchronize_session": False})
    _note(session, part.dataset_id)


def _free() -> ColumnElement[bool]:
    return or_(DatasetPart.lease_until.is_(None), DatasetPart.lease_until < db_now())


def _fenced(session: Session, part: DatasetPart, values: dict[str, Any]) -> None:
    session.execute(select(Dataset.id).where(Dataset.id == part.dataset_id).with_for_update(key_share=True))
    this = and_(DatasetPart.dataset_id == part.dataset_id, DatasetPart.number == part.number)
    held = update(DatasetPart).where(this, DatasetPart.lease_token == part.lease_token).values(**values)
    done = session.execute(held, execution_options={"synchronize_session": False})
    if done.rowcount != 1:  # type: ignore[attr-defined]
        raise LeaseLost(f"part {part.number} of {part.dataset_id}")


def _note(session: Session, dataset_id: str) -> None:
    """Write into the dataset how far its parts are."""
    own = DatasetPart.dataset_id == dataset_id
    sums = select(
        func.coalesce(func.sum(DatasetPart.shards_read), 0), func.coalesce(func.sum(DatasetPart.bytes_read), 0)
    )
    shards_read, bytes_read = session.execute(sums.where(own)).one()
    done = session.scalar(select(func.count()).where(own, DatasetPart.status != "waiting"))
    told = session.scalar(select(Dataset.reading).where(Dataset.id == dataset_id)) or {}
    now = told | {"parts_read": done, "shards_read": int(shards_read), "bytes_read": int(bytes_read)}
    noted = update(Dataset).where(Dataset.id == dataset_id).values(reading=now)
    session.execute(noted, execution_options={"synchronize_session": False})
