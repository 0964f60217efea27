"""What /uploads does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fastapi import Request
from sqlalchemy.orm import Session

from api.errors.problems import Conflict, NotFound, TooLarge
from api.http.auth import Caller
from api.http.idempotency import replayed, request_hash
from api.http.uploads import scratch
from api.resources.uploads import finishing, receiving
from api.resources.uploads.layout import Layout, layout
from api.resources.uploads.schemas import PartOut, UploadCreate, UploadOut
from api.services import quotas, waiting
from api.state.context import Context
from api.state.deps import Work
from store import expiry
from store.ids import new_id
from store.objects import ObjectMissing, Part, StorageUnavailable
from store.repositories import idempotency, uploads
from store.repositories.leases import LeaseLost
from store.tables import Upload

log = logging.getLogger(__name__)
URL_SECONDS = 3600


def find(session: Session, tenant: str, upload_id: str) -> Upload:
    """The tenant's upload. Raises `NotFound`, for another tenant's as for none."""
    row = uploads.get(session, tenant, upload_id)
    if row is None:
        raise NotFound(f"There is no upload {upload_id!r}.", "GET /uploads lists those there are; they expire.")
    return row


def look(context: Context, tenant: str, upload_id: str) -> Upload:
    with context.database.read() as session:
        return find(session, tenant, upload_id)


def create(context: Context, tenant: str, body: UploadCreate, key: str | None) -> tuple[Upload, bool]:
    """Open an upload; its row, and whether an earlier request with this key had made it."""
    _check_size(context, tenant, body.size_bytes, key)
    row, made = _row(context, tenant, body), ""
    try:
        made = _insert(context, row, key, request_hash("/uploads", body.model_dump()))
    finally:
        if made != row.id:  # refused, or made before
            _abort(context, row)
    return look(context, tenant, made), made != row.id


def _abort(context: Context, row: Upload) -> None:
    try:
        context.objects.parts.abort(row.object_key, row.handle)
    except StorageUnavailable as error:
        log.warning("the parts of %s stay in the store: %s", row.object_key, error)


def _check_size(context: Context, tenant: str, size_bytes: int, key: str | None) -> None:
    most = context.settings.max_upload_bytes
    if size_bytes > most:
        remedy = "Send a smaller file, or have the operator raise RETORT_MAX_UPLOAD_BYTES."
        raise TooLarge(f"The file is larger than {most} bytes.", remedy, details={"max_upload_bytes": most})
    with context.database.read() as session:
        if not idempotency.known(session, tenant, key):
            quotas.check_bytes(session, context.settings, tenant, size_bytes, lock=False)


def _row(context: Context, tenant: str, body: UploadCreate) -> Upload:
    upload_id = new_id("upl")
    object_key = f"uploads/{upload_id}/content"
    handle = context.objects.parts.begin(object_key)
    direct = body.direct and context.objects.parts.url(object_key, handle, 1, URL_SECONDS) is not None
    return Upload(
        id=upload_id,
        tenant_id=tenant,
        purpose=body.purpose,
        filename=Path(body.filename.replace("\\", "/")).name or "file",
        size_bytes=body.size_bytes,
        part_bytes=layout(body.size_bytes, context.settings.upload_part_bytes).part_bytes,
        direct=direct,
        declared_sha256=body.sha256,
        object_key=object_key,
        handle=handle,
        expires_at=datetime.now(UTC) + timedelta(seconds=context.settings.upload_expiry_seconds),
    )


def _insert(context: Context, row: Upload, key: str | None, hashed: str) -> str:
    with context.database.write() as session:
        earlier = replayed(session, row.tenant_id, key, hashed)
        if earlier is not None:
            return earlier
        quotas.check_bytes(session, context.settings, row.tenant_id, row.size_bytes)
        session.add(row)
        session.flush()
        if key:
            idempotency.answer(session, row.tenant_id, key, 201, row.id)
        return row.id


def parts(context: Context, caller: Caller, upload_id: str, after: int, limit: int) -> tuple[list[PartOut], bool]:
    """Parts numbered above `after`, with where to send them for who may; and whether more follow."""
    row, writes = look(context, caller.tenant, upload_id), caller.may("write")
    cut = Layout(row.size_bytes, row.part_bytes)
    arrived = cut.complete(_arrived(context, row, cut))
    if row.status == "open" and writes:
        with context.database.write() as session:
            uploads.touch(session, row.id, context.settings.upload_expiry_seconds)
    numbers = range(after + 1, min(after + limit, cut.count) + 1)
    items = [_part(context, row, cut, number, number in arrived, writes) for number in numbers]
    return items, after + limit < cut.count


def _arrived(context: Context, row: Upload, cut: Layout) -> Iterator[Part]:
    if row.status == "open":
        try:
            return iter(finishing.arrived_parts(context, row))
        except Conflict:
            if not finishing.joined(context, row):
                raise
    there = row.status in {"open", "completing", "complete", "used"}
    return (Part(number, cut.size(number)) for number in range(1, cut.count + 1) if there)


def _part(context: Context, row: Upload, cut: Layout, number: int, received: bool, writes: bool = True) -> PartOut:
    url, expires_at = None, None
    if row.status == "open" and writes:
        url = f"/uploads/{row.id}/parts/{number}"
        signed = context.objects.parts.url(row.object_key, row.handle, number, URL_SECONDS) if row.direct else None
        if signed is not None:
            url, expires_at = signed, datetime.now(UTC) + timedelta(seconds=URL_SECONDS)
    return PartOut(
        number=number,
        offset=cut.offset(number),
        size_bytes=cut.size(number),
        received=received,
        url=url,
        expires_at=expires_at,
    )


async def put_part(context: Context, tenant: str, upload_id: str, number: int, request: Request) -> PartOut:
    """Take one part through the API. The request is judged before its first byte is read."""
    row = await context.lanes.reading.run(look, context, tenant, upload_id)
    cut = Layout(row.size_bytes, row.part_bytes)
    _check_open(row)
    if not 1 <= number <= cut.count:
        raise NotFound(f"The upload has parts 1 to {cut.count}, not {number}.", "GET its parts.")
    async with scratch(context.settings) as folder:
        path = folder / "part"
        await receiving.receive(request, path, cut.size(number))
        await context.lanes.storing.run(_store, context, row, number, path)
    return await context.lanes.storing.run(_part, context, row, cut, number, True)


def _store(context: Context, row: Upload, number: int, path: Path) -> None:
    with context.database.write() as session:
        if not uploads.touch(session, row.id, context.settings.upload_expiry_seconds):
            _check_open(find(session, row.tenant_id, row.id))
    try:
        context.objects.parts.put(row.object_key, row.handle, number, path)
    except ObjectMissing as error:
        raise finishing.forgotten() from error


def _check_open(row: Upload) -> None:
    if row.status != "open":
        detail = f"The upload is {row.status} and takes no more parts."
        remedy = "Make a new upload for another file."
        raise Conflict(detail, remedy, code="upload_not_open", details={"status": row.status})


async def complete(context: Context, tenant: str, upload_id: str, seconds: float) -> Upload:
    """Join and verify; the row once that has ended, or when the time is over. Completing again is no error."""
    row = await context.lanes.reading.run(look, context, tenant, upload_id)
    future = await context.lanes.writing.run(_begin, context, row)
    if future is not None:
        done, _ = await asyncio.wait([asyncio.wrap_future(future)], timeout=seconds)
        with suppress(LeaseLost):  # another request has taken it over
            for task in done:
                task.result()
        return await context.lanes.reading.run(look, context, tenant, upload_id)
    row = await waiting.until(
        context.lanes.reading, lambda: look(context, tenant, upload_id), lambda r: r.status != "completing", seconds
    )
    if row.status == "open":
        raise StorageUnavailable("joining was interrupted")
    if row.status == "failed":
        raise _failed(row)
    return row


def _begin(context: Context, row: Upload) -> Future[None] | None:
    """The work, if it is ours to do."""
    if row.status not in {"open", "completing"}:
        return None
    with context.database.write() as session:
        token = uploads.claim(session, row.id, finishing.LEASE_SECONDS)
    return finishing.start(context, row, token) if token else None


def _failed(row: Upload) -> Conflict:
    error = row.error or {}
    remedy = "Make a new upload."
    return Conflict(str(error.get("message", "The upload has failed.")), remedy, code="upload_failed", details=error)


def abort(work: Work, tenant: str, upload_id: str) -> None:
    """Remove the upload with everything that has arrived. Raises `Conflict` for one that is in use."""
    row = find(work.session, tenant, upload_id)
    if not uploads.expire(work.session, row.id):
        row = find(work.session, tenant, upload_id)
        what = f"{row.resource_id} is made of it" if row.status == "used" else "it is being joined"
        raise Conflict(
            f"The upload cannot be removed: {what}.", "Delete what it became, or try again.", code="upload_in_use"
        )
    idempotency.release(work.session, tenant, row.id)
    work.remove_after_commit(lambda: _remove(work.context, row.id))


def _remove(context: Context, upload_id: str) -> None:
    try:
        expiry.remove(context.database, context.objects, upload_id)
    except StorageUnavailable as error:
        log.warning("the bytes of %s are removed later: %s", upload_id, error)


def shown(row: Upload) -> UploadOut:
    return UploadOut(
        id=row.id,
        status=row.status,
        purpose=row.purpose,
        filename=row.filename,
        size_bytes=row.size_bytes,
        part_bytes=row.part_bytes,
        parts=Layout(row.size_bytes, row.part_bytes).count,
        direct=row.direct,
        sha256=row.sha256 or row.declared_sha256,
        error=row.error,
        resource=row.resource_id,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )
