"""/uploads."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from api.http.auth import CallerDep, TenantDep
from api.http.idempotency import IdempotencyKeyDep, located
from api.http.negotiation import IfNoneMatch, Prefer, applied, wait_seconds
from api.http.openapi import documented
from api.http.paging import Cursor, Limit, NumberCursor, encode
from api.http.preconditions import CONDITIONAL, IfMatch, require, tag_of, tagged
from api.resources.uploads import service
from api.resources.uploads.schemas import PartOut, PartPage, UploadCreate, UploadOut, UploadPage
from api.state.deps import ContextDep, ListSession, ReadSession, Storing, WorkDep
from store.repositories import uploads

router = APIRouter(tags=["uploads"])
BINARY = {"application/octet-stream": {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}}
Number = Annotated[int, Path(ge=1, le=10_000, description="Part number.", examples=[1])]


@router.post(
    "/uploads",
    operation_id="create_upload",
    summary="Begin an upload",
    status_code=201,
    responses=documented(403, 413, 415, 422, 429),
)
def create_upload(
    context: ContextDep,
    tenant: TenantDep,
    key: IdempotencyKeyDep,
    place: Storing,
    body: UploadCreate,
    response: Response,
) -> UploadOut:
    """For files too large for one request: send the parts in any order, as often as it takes, then complete it, then
    register the teacher or dataset with `{"upload": id}`. An upload that nobody touches expires."""
    row, replay = service.create(context, tenant, body, key)
    located(response, f"/uploads/{row.id}", replay)
    return service.shown(row)


@router.get("/uploads", operation_id="list_uploads", summary="List uploads", responses=documented(422))
def list_uploads(session: ListSession, tenant: TenantDep, cursor: Cursor, limit: Limit = 50) -> UploadPage:
    """Your uploads, newest first, those that became something included."""
    rows, more = uploads.page(session, tenant, cursor, limit)
    return UploadPage(items=[service.shown(row) for row in rows], next_cursor=encode(rows[-1].id) if more else None)


@router.get(
    "/uploads/{upload_id}",
    operation_id="get_upload",
    summary="Show an upload",
    response_model=UploadOut,
    responses=documented(404, also=CONDITIONAL),
)
def get_upload(
    session: ReadSession, tenant: TenantDep, upload_id: str, response: Response, if_none_match: IfNoneMatch = None
) -> UploadOut | Response:
    """One upload."""
    return tagged(service.shown(service.find(session, tenant, upload_id)), response, if_none_match)


@router.get(
    "/uploads/{upload_id}/parts",
    operation_id="list_upload_parts",
    summary="List parts",
    responses=documented(404, 409, 422),
)
def list_upload_parts(
    context: ContextDep, caller: CallerDep, place: Storing, upload_id: str, cursor: NumberCursor, limit: Limit = 100
) -> PartPage:
    """Every part with its place in the file, whether it has arrived, and where to PUT it: for the first time or to go
    on after an interruption."""
    items, more = service.parts(context, caller, upload_id, cursor, limit)
    return PartPage(items=items, next_cursor=encode(items[-1].number) if more else None)


@router.put(
    "/uploads/{upload_id}/parts/{number}",
    operation_id="put_upload_part",
    summary="Send a part",
    responses=documented(404, 409, 413, 415, 422),
    openapi_extra={"requestBody": {"required": True, "content": BINARY}},
)
async def put_upload_part(
    context: ContextDep, tenant: TenantDep, upload_id: str, number: Number, request: Request
) -> PartOut:
    """The part's bytes as they are. A part that is sent again replaces the earlier one. A `Content-Digest` (RFC 9530)
    with sha-256 is verified."""
    return await service.put_part(context, tenant, upload_id, number, request)


@router.post(
    "/uploads/{upload_id}/complete",
    operation_id="complete_upload",
    summary="Complete an upload",
    responses=documented(
        404, 409, 422, also={202: {"model": UploadOut, "description": "Still being verified; GET the upload."}}
    ),
)
async def complete_upload(
    context: ContextDep, tenant: TenantDep, upload_id: str, response: Response, prefer: Prefer = None
) -> UploadOut:
    """Join the parts and verify what the store then holds: its size, and the sha256 if one was declared. The answer
    waits for that (`Prefer: wait=N`). Completing again is no error."""
    seconds = wait_seconds(prefer, context.settings.inspect_wait_seconds)
    row = await service.complete(context, tenant, upload_id, seconds)
    response.status_code = 202 if row.status == "completing" else 200
    if row.status == "completing":
        response.headers["Retry-After"] = "2"
    applied(response, prefer)
    return service.shown(row)


@router.delete(
    "/uploads/{upload_id}",
    operation_id="abort_upload",
    summary="Abort an upload",
    status_code=204,
    responses=documented(404, 409, 412),
)
def abort_upload(work: WorkDep, tenant: TenantDep, upload_id: str, if_match: IfMatch = None) -> None:
    """Remove an upload and whatever has arrived of it. 409 once a teacher or dataset is made of it."""
    if if_match is not None:
        require(if_match, tag_of(service.shown(service.find(work.session, tenant, upload_id))))
    service.abort(work, tenant, upload_id)
