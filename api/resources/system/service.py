"""How the service stands."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from sqlalchemy.orm import Session

from api.resources.system.schemas import Storage, SystemOut, WorkerOut
from api.state.context import Context
from store import references
from store.repositories import jobs, quotas, system


def installed_version() -> str:
    try:
        return version("retort")
    except PackageNotFoundError:
        return "0+source"


def _told(info: dict[str, Any]) -> dict[str, Any]:
    """What a worker says of itself, its isolation apart; of the formats that it lacks the names alone."""
    shown = {name: value for name, value in info.items() if name != "isolation"}
    return shown | {name: list(shown[name]) for name in ("lacked_exports",) if name in shown}


def overview(context: Context, session: Session, tenant: str) -> SystemOut:
    settings = context.settings
    workers = system.live_workers(session, settings.lease_seconds)
    return SystemOut(
        version=installed_version(),
        mode="embedded" if settings.embedded else "full",
        workers=[
            WorkerOut(
                id=worker.id,
                hostname=worker.hostname,
                slots=worker.slots,
                info=_told(worker.info),
                isolation=worker.info.get("isolation"),
                started_at=worker.started_at,
                heartbeat_at=worker.heartbeat_at,
            )
            for worker in workers
        ],
        jobs=jobs.count_by_status(session, tenant),
        queue_length=jobs.count_by_status(session, None).get("queued", 0),
        max_upload_bytes=settings.max_upload_bytes,
        storage=_storage(context, session, tenant),
        dataset_references=references.schemes(settings),
    )


def _storage(context: Context, session: Session, tenant: str) -> Storage:
    kept = quotas.stored(session, tenant)
    most = quotas.of(session, context.settings, tenant).stored_bytes
    return Storage(used_bytes=sum(kept.values()), max_bytes=most or None, by_kind=kept)
