"""Joining an upload's parts and reading the object back: minutes for many GB, so it goes on without its request."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from concurrent.futures import Future

from api.errors.problems import Conflict, Unprocessable
from api.resources.uploads.layout import Layout
from api.state.context import Context
from store.objects import ObjectMissing, Part
from store.repositories import uploads
from store.tables import Upload

log = logging.getLogger(__name__)
LEASE_SECONDS, RENEW_SECONDS = 120.0, 15.0
MISSING_SHOWN = 100


_few = threading.BoundedSemaphore(2)  # a disk reads one file after the other faster than many at once


def start(context: Context, row: Upload, token: str) -> Future[None]:
    """Join and verify in the background, under the lease `token`. The future raises what `finish` raises.

    In a thread of its own, not one of those that serve requests, and one that nobody waits for at the end of the
    process: the lease ends too, and the next `complete` takes over."""
    future: Future[None] = Future()
    threading.Thread(target=_run, args=(future, context, row, token), name=row.id, daemon=True).start()
    return future


def _run(future: Future[None], context: Context, row: Upload, token: str) -> None:
    try:
        with _few:
            finish(context, row, token)
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(None)


def finish(context: Context, row: Upload, token: str) -> None:
    """Join, verify and write the outcome. Raises `Conflict` for missing parts and `Unprocessable` for other bytes than
    declared, which end the upload; whatever else goes wrong leaves it open, to complete again."""
    outcome: dict[str, object] = {"status": "open"}
    with context.database.write() as session:  # it may have waited long for its turn
        uploads.renew(session, row.id, token, LEASE_SECONDS)
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
    if not joined(context, row):
        check_parts(context, row)
        context.objects.parts.join(row.object_key, row.handle)


def joined(context: Context, row: Upload) -> bool:
    """Whether the object is there: an earlier try may have ended between joining and saying so."""
    try:
        return context.objects.size(row.object_key) == row.size_bytes
    except ObjectMissing:
        return False


def arrived_parts(context: Context, row: Upload) -> list[Part]:
    """What the store has of an open upload. Raises `Conflict` when it does not know the upload (any more)."""
    try:
        return context.objects.parts.arrived(row.object_key, row.handle)
    except ObjectMissing as error:
        raise forgotten() from error


def forgotten() -> Conflict:
    """A bucket's rule, or somebody, has aborted it behind our back."""
    return Conflict("The store has forgotten this upload.", "Make a new upload.", code="upload_forgotten")


def check_parts(context: Context, row: Upload) -> None:
    """Raises `Conflict` unless every part is there and no other."""
    layout, arrived = Layout(row.size_bytes, row.part_bytes), arrived_parts(context, row)
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
