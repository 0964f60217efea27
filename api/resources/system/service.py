"""How the service stands."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from api.resources.system.schemas import Ready, Storage, SystemOut, WorkerOut
from api.state.context import Context
from store import references
from store.doorbell import CeleryDoorbell
from store.objects import StorageUnavailable
from store.repositories import jobs, quotas, system
from store.tables import Tenant

log = logging.getLogger(__name__)


def installed_version() -> str:
    try:
        return version("retort")
    except PackageNotFoundError:
        return "0+source"


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
                info=worker.info,
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


def readiness(context: Context) -> Ready:
    """Asks each part. What is wrong is named by its kind only: this answer is public."""
    database = _state(lambda: _schema(context))
    objects = _state(context.objects.ping)
    ready = database == objects == "ok"
    doorbell = _state(lambda: _bell(context))
    return Ready(status="ready" if ready else "not_ready", database=database, objects=objects, doorbell=doorbell)


def _schema(context: Context) -> None:
    """The database answers and has our tables."""
    with context.database.read() as session:
        session.execute(select(Tenant.id).limit(1))


def _bell(context: Context) -> None:
    if isinstance(context.doorbell, CeleryDoorbell):
        with context.doorbell.app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=2)


def _state(ask: Callable[[], None]) -> str:
    try:
        ask()
    except (SQLAlchemyError, StorageUnavailable, OSError) as error:
        log.warning("not ready: %s", error)
        return f"not reachable ({type(error).__name__})"
    return "ok"
