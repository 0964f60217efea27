"""What is to go, and when: old jobs, files, unknown objects, messages, keys (docs/operations.md)."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from store.database import Database
from store.objects import FolderStore, ObjectStore
from store.repositories import idempotency, outbox, recording
from store.sealing_anew import seal_anew
from store.settings import Settings
from store.tidying import orphans, retention

log = logging.getLogger(__name__)
DAY_SECONDS = 86400.0


def tidy(
    settings: Settings, database: Database, objects: ObjectStore, leaving: retention.Leaving = lambda: False
) -> Mapping[str, int]:
    """All of it once; how many of what went. `leaving`: whether to leave the rest of the jobs to another. Raises one of
    `store.database.AWAY`, `StorageUnavailable`."""
    gone = dict(retention.apply(settings, database, objects, leaving))
    with database.write() as session:
        gone["deliveries"] = outbox.forget(session, settings.keep_deliveries_days * DAY_SECONDS)
        gone["curves"] = recording.forget_curves(session, DAY_SECONDS)
        gone["idempotency_keys"] = idempotency.forget_old(session)
    seal_anew(settings, database)
    if settings.orphan_grace_days:
        gone["orphans"] = orphans.sweep(database, objects, settings.orphan_grace_days * DAY_SECONDS)
    if isinstance(objects, FolderStore):
        gone["half_written_files"] = objects.sweep(DAY_SECONDS)
    if any(gone.values()):
        log.info("tidied: %s", ", ".join(f"{number} {what}" for what, number in gone.items() if number))
    return gone
