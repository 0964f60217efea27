"""/api-keys."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from api.http.auth import AdminDep
from api.http.openapi import documented
from api.http.paging import Cursor, Limit, encode
from api.resources.keys import service
from api.resources.keys.schemas import KeyCreate, KeyCreated, KeyOut, KeyPage
from api.state.deps import ListSession, ReadSession, WorkDep

router = APIRouter(tags=["keys"])
TenantFilter = Annotated[str | None, Query(max_length=60, description="A tenant's id, for the operator.")]


@router.post(
    "/api-keys",
    operation_id="create_api_key",
    summary="Make a key",
    status_code=201,
    responses=documented(403, 409, 413, 415, 422),
)
def create_api_key(work: WorkDep, caller: AdminDep, body: KeyCreate, response: Response) -> KeyCreated:
    """The answer is the only place where the key is ever shown. It cannot be asked for again, so this takes no
    `Idempotency-Key`; revoke a key whose answer was lost."""
    made = service.create(work, caller, body)
    response.headers["Location"] = f"/api-keys/{made.id}"
    response.headers["Cache-Control"] = "no-store"
    return made


@router.get("/api-keys", operation_id="list_api_keys", summary="List keys", responses=documented(404, 422))
def list_api_keys(
    session: ListSession, caller: AdminDep, cursor: Cursor, limit: Limit = 50, tenant: TenantFilter = None
) -> KeyPage:
    """Your tenant's keys, newest first, with their last use."""
    rows, more = service.page(session, caller, tenant, cursor, limit)
    return KeyPage(items=[service.shown(row) for row in rows], next_cursor=encode(rows[-1].id) if more else None)


@router.get("/api-keys/{key_id}", operation_id="get_api_key", summary="Show a key", responses=documented(404))
def get_api_key(session: ReadSession, caller: AdminDep, key_id: str) -> KeyOut:
    """One key, without the key itself."""
    return service.shown(service.find(session, caller, key_id))


@router.delete(
    "/api-keys/{key_id}",
    operation_id="revoke_api_key",
    summary="Revoke a key",
    status_code=204,
    responses=documented(404, 409),
)
def revoke_api_key(work: WorkDep, caller: AdminDep, key_id: str) -> None:
    """The key opens nothing from the next request on; in other API processes after a second at most."""
    service.revoke(work, caller, key_id)
