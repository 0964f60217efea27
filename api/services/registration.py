"""Teachers and datasets alike: store the files, let a worker inspect them, and answer with what it found.

A registration is three steps with their own transactions: the row and its files; the worker's inspection; and, where
that refuses the input, removal of both, so that a refused upload leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import Response
from pydantic import BaseModel
from sqlalchemy.orm import Session

from api.errors.problems import Conflict, Forbidden, NotFound, Problem, class_of
from api.http.forms import invalid
from api.http.idempotency import located, replayed
from api.http.negotiation import applied, wait_seconds
from api.http.preconditions import require, tag_of
from api.http.schemas import ResourcePatch
from api.http.uploads import ReceivedFile
from api.services import quotas, waiting
from api.services.removing import remove
from api.state.context import Context
from api.state.deps import Work
from store import shard_references
from store.doorbell import Noun
from store.repositories import idempotency, resources, rows, studies, uploads
from store.tables import Dataset, Teacher, Upload

Resource = TypeVar("Resource", Teacher, Dataset)
QUOTA = "quota_exceeded"  # the same answer whoever counts the bytes
Show = Callable[[Any], BaseModel]
NOUNS: dict[type[Teacher] | type[Dataset], Noun] = {Teacher: "teacher", Dataset: "dataset"}


@dataclass(frozen=True)
class Key:
    """The request's `Idempotency-Key` with the hash of what it was sent with."""

    key: str | None
    hashed: str


def find(session: Session, table: type[Resource], tenant: str, resource_id: str) -> Resource:
    """The tenant's row. Raises `NotFound`, for another tenant's as for none."""
    row = resources.get(session, table, tenant, resource_id)
    if row is None:
        noun = NOUNS[table]
        raise NotFound(f"There is no {noun} {resource_id!r}.", f"GET /{noun}s lists the {noun}s there are.")
    return row


def locked(session: Session, table: type[Resource], tenant: str, resource_id: str) -> Resource:
    """The same, as it stays until commit."""
    row = find(session, table, tenant, resource_id)
    rows.lock(session, row)
    return row


def add(
    context: Context, row: Resource, files: Mapping[str, ReceivedFile], key: Key, uploaded: Sequence[Upload] = ()
) -> tuple[str, bool]:
    """Store files by object key, then insert the row, which takes the `uploaded` ones over; its id, and whether an
    earlier request had made it already. Raises `Conflict` for an upload that something else was made of."""
    more = sum(file.size_bytes for file in files.values())
    try:
        with context.database.read() as session:
            if not idempotency.known(session, row.tenant_id, key.key):
                quotas.check_bytes(session, context.settings, row.tenant_id, more, lock=False)
        for object_key, file in files.items():
            context.objects.put(object_key, file.path)
            file.path.unlink()
        made = _insert(context, row, key, uploaded, more)
    except BaseException:
        remove(context.objects, files)
        raise
    if made != row.id:
        remove(context.objects, files)
        return made, True
    context.doorbell.ring(NOUNS[type(row)], row.id)
    return row.id, False


def _insert(context: Context, row: Teacher | Dataset, key: Key, uploaded: Sequence[Upload], more: int) -> str:
    with context.database.write() as session:
        earlier = replayed(session, row.tenant_id, key.key, key.hashed)
        if earlier is not None:
            return earlier
        quotas.check_bytes(session, context.settings, row.tenant_id, more)
        for upload in uploaded:
            if not uploads.take(session, upload.id, row.id):
                raise _taken(upload)
        session.add(row)
        session.flush()
        if key.key:
            idempotency.answer(session, row.tenant_id, key.key, 202, row.id)
        return row.id


def _taken(upload: Upload) -> Conflict:
    remedy = "Register what it became, or upload the file again."
    return Conflict(f"Upload {upload.id} is already in use.", remedy, code="upload_used")


def find_upload(session: Session, tenant: str, upload_id: str, purpose: Noun, pointer: str) -> Upload:
    """The tenant's upload, for the right purpose and not unfinished. Raises `Unprocessable`, `Conflict`."""
    row = uploads.get(session, tenant, upload_id)
    if row is None:
        raise invalid(pointer, f"There is no upload {upload_id!r}.", "GET /uploads lists those there are; they expire.")
    if row.purpose != purpose:
        raise invalid(pointer, f"Upload {row.id} is for a {row.purpose}.", f"Make one with the purpose {purpose!r}.")
    if row.status not in {"complete", "used"}:  # one in use may be so by this very request, sent before
        detail = f"Upload {row.id} is {row.status}."
        remedy = f"POST /uploads/{row.id}/complete first."
        raise Conflict(detail, remedy, code="upload_not_complete", details={"status": row.status})
    return row


async def settled(
    context: Context, table: type[Resource], tenant: str, resource_id: str, prefer: str | None
) -> Resource:
    """The row once it is inspected, or when the time is over. Raises `Unprocessable` for a refused one, then gone."""

    def look() -> Resource:
        with context.database.read() as session:
            return find(session, table, tenant, resource_id)

    seconds = wait_seconds(prefer, context.settings.inspect_wait_seconds)
    row = await waiting.until(context.lanes.reading, look, lambda found: found.status != "inspecting", seconds)
    if row.status == "invalid":
        await context.lanes.storing.run(_discard, context, table, tenant, resource_id)
        raise refusal(row)
    return row


def answered(response: Response, row: Teacher | Dataset, prefer: str | None, replay: bool) -> None:
    """Status and headers of a registration's answer: 201 when it is, 202 while it is inspected."""
    response.status_code = 202 if row.status == "inspecting" else 201
    located(response, f"/{NOUNS[type(row)]}s/{row.id}", replay)
    if row.status == "inspecting":
        response.headers["Retry-After"] = "2"
    applied(response, prefer)


def refusal(row: Teacher | Dataset) -> Problem:
    """The problem that answers a registration whose inspection refused the file, or could not look at it."""
    error: dict[str, Any] = row.error or {}
    code = error.get("code", "invalid_input")
    kind = Forbidden if code == QUOTA else class_of(error.get("fault", "user"), code)
    return kind(
        error.get("message", "The inspection refused this input."),
        error.get("remedy", ""),
        code=code,
        details=error.get("details"),
    )


def delete(work: Work, table: type[Resource], tenant: str, resource_id: str) -> None:
    """Remove the row and, behind the commit, its objects. Raises `Conflict` while jobs use it."""
    row = locked(work.session, table, tenant, resource_id)
    jobs = resources.jobs_using(work.session, row)
    if jobs:
        remedy = "Delete those jobs first."
        detail = (
            f"{len(jobs)} or more jobs use {resource_id}." if len(jobs) > 1 else f"Job {jobs[0]} uses {resource_id}."
        )
        raise Conflict(detail, remedy, code="in_use", details={"jobs": jobs})
    searches = studies.using(work.session, tenant, resource_id)
    if searches:
        detail = f"Study {searches[0]} goes on and may need {resource_id}."
        raise Conflict(detail, "Wait for it, or cancel it.", code="in_use", details={"studies": searches})
    keys = resources.object_keys(row)
    idempotency.release(work.session, tenant, row.id)
    uploads.forget(work.session, row.id)
    work.session.delete(row)
    below = _below(row)
    work.remove_after_commit(lambda: remove(work.context.objects, keys, below))


def unchanged(
    work: Work, table: type[Resource], tenant: str, resource_id: str, if_match: str | None, shown: Show
) -> None:
    """Raise `PreconditionFailed` when the row is not as `If-Match` says; it stays so until commit."""
    if if_match is not None:
        row = locked(work.session, table, tenant, resource_id)
        require(if_match, tag_of(shown(row)))


def patch(work: Work, table: type[Resource], tenant: str, resource_id: str, body: ResourcePatch) -> Resource:
    """Change the fields that the body has. Raises `Conflict` for another name of a named set, which its name
    identifies."""
    row = locked(work.session, table, tenant, resource_id)
    if isinstance(row, Dataset) and row.kind == "named" and "name" in body.model_fields_set and body.name != row.name:
        detail = f"{row.name!r} is a named set; its name says which."
        raise Conflict(detail, "Change its labels instead.", code="name_fixed")
    for name in body.model_fields_set:
        setattr(row, name, getattr(body, name))
    work.session.flush()
    return row


def _discard(context: Context, table: type[Resource], tenant: str, resource_id: str) -> None:
    """Remove a refused row. Another request that waited for the same inspection may have done so: then its uploads are
    free again, and their bytes are not ours to remove."""
    with context.database.write() as session:
        try:
            row = locked(session, table, tenant, resource_id)
        except (NotFound, rows.Gone):
            return
        # A wrong architecture's name must not cost an upload of many GB: it may be used again.
        kept = uploads.release(session, resource_id, context.settings.upload_expiry_seconds)
        keys = [key for key in resources.object_keys(row) if key not in kept]
        below = _below(row)
        idempotency.release(session, tenant, resource_id)
        session.delete(row)
    remove(context.objects, keys, below)


def _below(row: Teacher | Dataset) -> str:
    """What the keys begin with of further objects of the row: what its shards were read to in parts."""
    return shard_references.parts(row.id) if isinstance(row, Dataset) and row.reading else ""
