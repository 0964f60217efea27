"""/teachers."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api.http.auth import TenantDep
from api.http.idempotency import IdempotencyKeyDep
from api.http.negotiation import Prefer
from api.http.openapi import body, documented
from api.http.uploads import UploadsDep
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
from api.services import registration
from api.services.registered import Kind, add_routes
from api.state.deps import ContextDep
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


add_routes(router, Kind(Teacher, service.shown, TeacherOut, TeacherPage, finds="", files="weights"))
