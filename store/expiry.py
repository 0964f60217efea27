"""Removal of uploads: rows are marked first and deleted last, so that a removal that breaks off is done again."""

from __future__ import annotations

import logging

from store.database import Database
from store.objects import ObjectStore, StorageUnavailable
from store.repositories import idempotency, uploads

log = logging.getLogger(__name__)


def remove(database: Database, objects: ObjectStore, upload_id: str) -> bool:
    """Remove an expired upload with its parts and bytes. False when it is not to be removed. Raises
    `StorageUnavailable`; then it stays marked, and the next sweep removes it."""
    with database.write() as session:
        row = uploads.mark_expired(session, upload_id)
        if row is not None:
            idempotency.release(session, row.tenant_id, upload_id)
    if row is None:
        return False
    objects.parts.abort(row.object_key, row.handle)
    objects.delete(row.object_key)
    with database.write() as session:
        uploads.remove(session, upload_id)
    return True


def sweep(database: Database, objects: ObjectStore) -> list[str]:
    """Remove every upload that nobody has touched in time; their ids."""
    with database.read() as session:
        late = uploads.abandoned(session)
    try:
        return [upload_id for upload_id in late if remove(database, objects, upload_id)]
    except StorageUnavailable as error:
        log.warning("abandoned uploads stay for now: %s", error)
        return []
