"""Joining an upload's parts and reading the object back: minutes for many GB, so it goes on without its request."""

from __future__ import annotations

import hashlib
import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache

from api.context import Context
from api.problems import Conflict, Unprocessable
from api.resources.uploads.layout import Layout
from store.objects import ObjectMissing
from store.repositories import uploads
from store.tables import Upload

log = logging.getLogger(__name__)
LEASE_SECONDS, RENEW_SECONDS = 120.0, 15.0
MISSING_SHOWN = 100


@cache
def _executor() -> ThreadPoolExecutor:
    """Its own threads: verifying a few uploads must not take those that serve requests."""
    return ThreadPoolExecutor(2, "uploads")


def start(context: Context, row: Upload, token: str) -> Future[None]:
    """Join and verify in the background, under the lease `token`. The future raises what `finish` raises."""
    return _executor().submit(finish, context, row, token)


def finish(context: Context, row: Upload, token: str) -> None:
    """Join, verify and write the outcome. Raises `Conflict` for missing parts and `Unprocessable` for other bytes than
    declared, which end the upload; whatever else goes wrong leaves it open, to complete again."""
    outcome: dict[str, object] = {"status": "open"}
    try:
        join(context, row)
        sha256 = _read_back(context, row, token)
        if row.declared_sha256 not in {None, sha256}:
            problem = _mismatch(row, sha256)
            outcome = {"status": "failed", "error": {"code": problem.code, "message": problem.detail}}
            context.objects.delete(row.object_key)
            raise problem
        outcome = {"status": "complete", "sha256": sha256}
    finally:
        with context.database.write() as session:
            expiry = context.settings.upload_expiry_seconds
            uploads.finish(session, row.id, token, expiry_seconds=expiry, **outcome)  # type: ignore[arg-type]


def join(context: Context, row: Upload) -> None:
    """Make one object of the parts, unless an earlier try has. Raises `Conflict`."""
    try:
        if context.objects.size(row.object_key) == row.size_bytes:
            return
    except ObjectMissing:
        pass
    check_parts(context, row)
    context.objects.parts.join(row.object_key, row.handle)


def check_parts(context: Context, row: Upload) -> None:
    """Raises `Conflict` unless every part is there and no other."""
    layout, arrived = Layout(row.size_bytes, row.part_bytes), context.objects.parts.arrived(row.object_key, row.handle)
    missing = list(layout.missing(arrived))
    extra = [part.number for part in arrived if part.number > layout.count]
    if missing or extra:
        detail = f"{len(missing)} of {layout.count} parts have not arrived whole."
        if extra:
            detail = f"There are parts behind the last, {layout.count}; the upload cannot be completed."
        details = {"missing": missing[:MISSING_SHOWN], "extra": extra[:MISSING_SHOWN]}
        raise Conflict(detail, "GET the upload's parts, and PUT those.", code="parts_missing", details=details)


def _read_back(context: Context, row: Upload, token: str) -> str:
    """sha256 of what the store holds. Raises `Unprocessable` when that is not `size_bytes` long."""
    digest, size, renewed = hashlib.sha256(), 0, time.monotonic()
    for chunk in context.objects.read(row.object_key):
        digest.update(chunk)
        size += len(chunk)
        if time.monotonic() - renewed > RENEW_SECONDS:
            with context.database.write() as session:
                uploads.renew(session, row.id, token, LEASE_SECONDS)
            renewed = time.monotonic()
    if size != row.size_bytes:
        log.error("%s: the store holds %d bytes of %d", row.id, size, row.size_bytes)
        context.objects.delete(row.object_key)
        raise ObjectMissing(row.object_key)
    return digest.hexdigest()


def _mismatch(row: Upload, sha256: str) -> Unprocessable:
    detail = f"The bytes that arrived have the sha256 {sha256}, not {row.declared_sha256}."
    remedy = "Make a new upload, of a file that does not change while it is read."
    details = {"declared": row.declared_sha256, "received": sha256}
    return Unprocessable(detail, remedy, code="checksum_mismatch", details=details)
