"""Workers and the catalogue they publish."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from store.clock import db_now
from store.tables import CatalogueEntry, Worker


def register_worker(session: Session, worker: Worker) -> None:
    session.add(worker)


def beat(session: Session, worker_id: str) -> None:
    """Note that the worker is alive."""
    session.execute(update(Worker).where(Worker.id == worker_id).values(heartbeat_at=db_now()))


def remove_worker(session: Session, worker_id: str) -> None:
    session.execute(delete(Worker).where(Worker.id == worker_id))


def live_workers(session: Session, silent_seconds: float) -> list[Worker]:
    """Workers heard of in the last `silent_seconds`."""
    query = select(Worker).where(Worker.heartbeat_at > db_now(-silent_seconds)).order_by(Worker.id)
    return list(session.scalars(query))


def publish(session: Session, kind: str, entries: Iterable[dict[str, Any]]) -> None:
    """Replace the catalogue's entries of a kind by these; each has a `name`."""
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


def in_catalogue(session: Session, kind: str, name: str) -> bool:
    return session.get(CatalogueEntry, (kind, name)) is not None
