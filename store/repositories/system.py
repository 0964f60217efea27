"""Workers and the catalogue they publish."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from store.clock import db_now
from store.tables import CatalogueEntry, Worker

LOCK_SEED = 7  # apart from other users of advisory locks


def register_worker(session: Session, worker: Worker) -> None:
    session.add(worker)


def beat(session: Session, worker_id: str) -> bool:
    """Note that the worker is alive. False when it is not registered."""
    done = session.execute(
        update(Worker).where(Worker.id == worker_id).values(heartbeat_at=db_now()),
        execution_options={"synchronize_session": False},
    )
    return bool(done.rowcount)  # type: ignore[attr-defined]


def forget_workers(session: Session, silent_seconds: float) -> None:
    """Remove workers that have not been heard of for so long."""
    session.execute(
        delete(Worker).where(Worker.heartbeat_at < db_now(-silent_seconds)),
        execution_options={"synchronize_session": False},
    )


def remove_worker(session: Session, worker_id: str) -> None:
    session.execute(delete(Worker).where(Worker.id == worker_id))


def live_workers(session: Session, silent_seconds: float) -> list[Worker]:
    """Workers heard of in the last `silent_seconds`."""
    query = select(Worker).where(Worker.heartbeat_at > db_now(-silent_seconds)).order_by(Worker.id)
    return list(session.scalars(query))


def most_devices(session: Session, silent_seconds: float) -> int | None:
    """Devices of the largest slot of a worker heard of in the last `silent_seconds`; None where there is no such
    worker. Workers of earlier releases have one a slot."""
    found = [worker.info.get("devices_per_slot", 1) for worker in live_workers(session, silent_seconds)]
    return max(found, default=None)


def clusters(session: Session, silent_seconds: float) -> list[dict[str, Any]] | None:
    """What each worker heard of in the last `silent_seconds` says of the cluster it reaches (`worker.cluster.view`),
    nothing of those that reach none; None where there is no such worker."""
    found = live_workers(session, silent_seconds)
    return [worker.info["cluster"] for worker in found if worker.info.get("cluster")] if found else None


def note_cluster(session: Session, worker_id: str, cluster: dict[str, Any]) -> None:
    """What the worker says of its cluster now."""
    worker = session.get(Worker, worker_id)
    if worker is not None and worker.info.get("cluster") != cluster:
        worker.info = worker.info | {"cluster": cluster}


def lacked_by_worker(session: Session, silent_seconds: float) -> list[dict[str, dict[str, Any]]]:
    """Of each worker heard of in the last `silent_seconds` what it lacks, by the name of the export format that it
    cannot write."""
    return [worker.info.get("lacked_exports", {}) for worker in live_workers(session, silent_seconds)]


def lacked_exports(session: Session, silent_seconds: float) -> dict[str, dict[str, Any]]:
    """Of the formats that no worker heard of in the last `silent_seconds` can write: what one of them says that it
    lacks, by name. Workers of earlier releases say nothing, and may write all; without workers nothing is known."""
    first, *others = lacked_by_worker(session, silent_seconds) or [{}]
    return {name: error for name, error in first.items() if all(name in each for each in others)}


def publish(session: Session, kind: str, entries: Iterable[dict[str, Any]]) -> None:
    """Replace the catalogue's entries of a kind by these; each has a `name`. Of workers that publish at the same moment
    one waits for the other, and the last one's stay."""
    if session.get_bind().dialect.name == "postgresql":  # SQLite has one writer at a time anyway
        session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(kind, LOCK_SEED))))
    session.execute(delete(CatalogueEntry).where(CatalogueEntry.kind == kind))
    rows = [{"kind": kind, "name": entry["name"], "data": entry} for entry in entries]
    if rows:
        session.execute(insert(CatalogueEntry), rows)


def catalogue(session: Session, kind: str) -> list[dict[str, Any]]:
    query = select(CatalogueEntry.data).where(CatalogueEntry.kind == kind).order_by(CatalogueEntry.name)
    return list(session.scalars(query))


def catalogue_names(session: Session, kind: str) -> list[str]:
    query = select(CatalogueEntry.name).where(CatalogueEntry.kind == kind).order_by(CatalogueEntry.name)
    return list(session.scalars(query))


def catalogue_size(session: Session, kind: str) -> int:
    query = select(func.count()).select_from(CatalogueEntry).where(CatalogueEntry.kind == kind)
    return session.scalar(query) or 0


def catalogue_page(
    session: Session, kind: str, search: str | None, after: str | None, limit: int
) -> tuple[list[dict[str, Any]], bool]:
    """Entries by name, those whose name contains `search`, behind the name `after`; and whether more follow."""
    query = select(CatalogueEntry.data).where(CatalogueEntry.kind == kind)
    if search:
        query = query.where(CatalogueEntry.name.icontains(search, autoescape=True))
    if after:
        query = query.where(CatalogueEntry.name > after)
    rows = list(session.scalars(query.order_by(CatalogueEntry.name).limit(limit + 1)))
    return rows[:limit], len(rows) > limit


def in_catalogue(session: Session, kind: str, name: str) -> bool:
    return session.get(CatalogueEntry, (kind, name)) is not None


def catalogue_entry(session: Session, kind: str, name: str) -> dict[str, Any]:
    """What a worker has published of it; {} where none has."""
    row = session.get(CatalogueEntry, (kind, name))
    return row.data if row is not None else {}
