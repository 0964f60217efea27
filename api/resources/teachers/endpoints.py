"""/teachers."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api import registration
from api.auth import TenantDep
from api.deps import ContextDep, ReadSession, WorkDep
from api.idempotency import IdempotencyKeyDep
from api.negotiation import IfNoneMatch, Prefer
from api.openapi import body, documented
from api.paging import Cursor, Limit, encode
from api.preconditions import CONDITIONAL, HEADERS, IfMatch, stamped, tagged
from api.resources.teachers import service
from api.resources.teachers.schemas import (
    ARTIFACT_EXAMPLE,
    FORM_EXAMPLE,
    FORM_SCHEMA,
    TeacherFromArtifact,
    TeacherFromHub,
    TeacherFromUpload,
    TeacherFromUploads,
    TeacherOut,
    TeacherPage,
)
from api.schemas import ResourcePatch
from api.uploads import UploadsDep
from store.repositories import resources
from store.tables import Teacher

router = APIRouter(tags=["teachers"])


@router.post(
    "/teachers",
    operation_id="register_teacher",
    summary="Register a teacher",
    status_code=201,
    responses=documented(
        409, 413, 415, 422, also={202: {"model": TeacherOut, "description": "Still being inspected; see Location."}}
    ),
    openapi_extra=body(
        json=((TeacherFromArtifact, TeacherFromUpload, TeacherFromUploads, TeacherFromHub), ARTIFACT_EXAMPLE),
        form=(FORM_SCHEMA, FORM_EXAMPLE),
    ),
)
async def register_teacher(
    context: ContextDep,
    tenant: TenantDep,
    key: IdempotencyKeyDep,
    upload: UploadsDep,
    response: Response,
    prefer: Prefer = None,
) -> TeacherOut:
    """Upload a checkpoint with its architecture's name, or name a file that one of your jobs made, uploads,
    or (where the operator allows it) a Hugging Face repository at a pinned revision.

    Besides a safetensors file this may be a `torch.save` file (`.pt`, `.pth`, `.bin`) or shards with their index: a
    worker converts these in a sandbox, as data, and `source` keeps what was sent. It checks every tensor against the
    architecture; the answer waits for that (`Prefer: wait=N`). A checkpoint that does not fit is answered with 422,
    which names the tensors, and nothing of it is kept.

    A language model is a Hugging Face folder, as a zip or file by file, with the architecture `transformers:auto`.
    """
    made, replay = await context.lanes.storing.run(service.register, context, tenant, upload, key)
    row = await registration.settled(context, Teacher, tenant, made, prefer)
    registration.answered(response, row, prefer, replay)
    return service.shown(row)


@router.get("/teachers", operation_id="list_teachers", summary="List teachers", responses=documented(422))
def list_teachers(session: ReadSession, tenant: TenantDep, cursor: Cursor, limit: Limit = 50) -> TeacherPage:
    """Your teachers, newest first."""
    rows, more = resources.page(session, Teacher, tenant, cursor, limit)
    return TeacherPage(items=[service.shown(row) for row in rows], next_cursor=encode(rows[-1].id) if more else None)


@router.get(
    "/teachers/{teacher_id}",
    operation_id="get_teacher",
    summary="Show a teacher",
    response_model=TeacherOut,
    responses=documented(404, also=CONDITIONAL),
)
def get_teacher(
    session: ReadSession, tenant: TenantDep, teacher_id: str, response: Response, if_none_match: IfNoneMatch = None
) -> TeacherOut | Response:
    """One teacher with what its inspection found."""
    return tagged(service.shown(registration.find(session, Teacher, tenant, teacher_id)), response, if_none_match)


@router.patch(
    "/teachers/{teacher_id}",
    operation_id="update_teacher",
    summary="Rename or label a teacher",
    responses=documented(404, 409, 412, 413, 415, 422, also={200: {"headers": HEADERS}}),
)
def update_teacher(
    work: WorkDep,
    tenant: TenantDep,
    teacher_id: str,
    body: ResourcePatch,
    response: Response,
    if_match: IfMatch = None,
) -> TeacherOut:
    """Change a teacher's name or labels. With `If-Match` only if nobody else has changed it."""
    registration.unchanged(work, Teacher, tenant, teacher_id, if_match, service.shown)
    return stamped(service.shown(registration.patch(work, Teacher, tenant, teacher_id, body)), response)


@router.delete(
    "/teachers/{teacher_id}",
    operation_id="delete_teacher",
    summary="Delete a teacher",
    status_code=204,
    responses=documented(404, 409, 412),
)
def delete_teacher(work: WorkDep, tenant: TenantDep, teacher_id: str, if_match: IfMatch = None) -> None:
    """Remove a teacher and its weights. 409 while jobs refer to it."""
    registration.unchanged(work, Teacher, tenant, teacher_id, if_match, service.shown)
    registration.delete(work, Teacher, tenant, teacher_id)
