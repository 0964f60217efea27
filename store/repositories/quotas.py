"""What a tenant may use, and uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from store.repositories import shares
from store.settings import Settings
from store.states import LEASED
from store.tables import Artifact, Checkpoint, Dataset, Job, Teacher, Tenant, Upload


@dataclass(frozen=True, slots=True)
class Quota:
    """0 means no limit."""

    running_jobs: int
    queued_jobs: int
    stored_bytes: int


def of(session: Session, settings: Settings, tenant_id: str) -> Quota:
    """The tenant's own quotas; where it has none, those of the settings."""
    row = session.get_one(Tenant, tenant_id)
    return Quota(
        _own(row.max_running_jobs, settings.max_running_jobs),
        _own(row.max_queued_jobs, settings.max_queued_jobs),
        _own(row.max_stored_bytes, settings.max_stored_bytes),
    )


def lock(session: Session, tenant_id: str) -> None:
    """Until commit nobody else counts what this tenant has: two requests must not both take the last place. (SQLite has
    one writer at a time anyway.)"""
    session.execute(select(Tenant.id).where(Tenant.id == tenant_id).with_for_update(key_share=True))


def queued(session: Session, tenant_id: str) -> int:
    """Jobs that wait. A publication that waits for its own job takes no place beside it."""
    waiting = select(func.count()).where(Job.tenant_id == tenant_id, Job.status == "queued")
    return _count(session, waiting.where(or_(shares.queue("slots"), shares.queue("publications"))))


def running(session: Session, tenant_id: str) -> int:
    """Jobs that a worker holds. A publication that follows one of them is none of its own."""
    held = select(func.count()).where(Job.tenant_id == tenant_id, Job.status.in_(LEASED))
    return _count(session, held.where(~shares.queue("live")))


def stored_bytes(session: Session, tenant_id: str) -> int:
    """Bytes of inputs, of uploads by their declared size, and of what jobs have made and keep."""
    return sum(stored(session, tenant_id).values())


def stored(session: Session, tenant_id: str) -> dict[str, int]:
    """The same by kind."""
    pending = Upload.status.in_(("open", "completing", "complete"))  # used ones count as what they became
    queries = {
        "teachers": select(func.sum(Teacher.size_bytes)).where(Teacher.tenant_id == tenant_id),
        "datasets": select(func.sum(Dataset.size_bytes)).where(Dataset.tenant_id == tenant_id),
        "uploads": select(func.sum(Upload.size_bytes)).where(Upload.tenant_id == tenant_id, pending),
        "artifacts": select(func.sum(Artifact.size_bytes)).join(Job).where(Job.tenant_id == tenant_id),
        "checkpoints": select(func.sum(Checkpoint.size_bytes)).join(Job).where(Job.tenant_id == tenant_id),
    }
    return {kind: _count(session, query) for kind, query in queries.items()}


def _own(own: int | None, general: int) -> int:
    return general if own is None else own


def _count(session: Session, query: Select[Any]) -> int:
    return int(session.scalar(query) or 0)
