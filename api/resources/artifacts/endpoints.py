"""/jobs/{id}/artifacts, /student, /report."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from api.http.auth import TenantDep
from api.http.files import StoredFile, respond, still_there
from api.http.negotiation import Accept, best
from api.http.openapi import Responses, documented
from api.resources.artifacts import manifest, service
from api.resources.artifacts.schemas import ArtifactList
from api.resources.jobs.service import find
from api.state.context import Context
from api.state.deps import ContextDep, ReadSession, Storing
from store.repositories import jobs

router = APIRouter(tags=["results"])
Redirect = Annotated[
    bool, Query(description="Answer with a presigned URL (307) where clients can reach the object store.")
]


_BYTES: dict[str, Any] = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
BINARY: dict[str, Any] = {"application/octet-stream": _BYTES}
#: Whatever the job made; some of it is JSON, which is no string to who parses it.
ANY: dict[str, Any] = {"application/json": {"schema": {}, "example": {"points": []}}, "*/*": _BYTES}
MANIFEST: dict[str, Any] = {
    "application/json": {"schema": {"type": "object"}, "example": {"schema": 1, "job": "job_1", "files": []}}
}
TEXT: dict[str, Any] = {
    "text/plain": {"schema": {"type": "string"}, "example": "untrusted comment: minisign public key of Retort\nRWQ..."}
}
REPORT: dict[str, Any] = {
    "text/markdown": {"schema": {"type": "string"}, "example": "# retort:resnet8 by feature_only on fashion-mnist"},
    "application/json": {
        "schema": {"type": "object"},
        "example": {"title": "retort:resnet8 by feature_only on fashion-mnist", "student": {}, "verdict": {}},
    },
}


def _file_responses(content: dict[str, Any]) -> Responses:
    answers: Responses = {
        200: {"description": "The file.", "content": content},
        206: {"description": "The range asked for.", "content": content},
        304: {"description": "The client has this file already."},
        307: {"description": "The file is at this presigned URL."},
    }
    return documented(404, 406, 412, 416, 422, also=answers)


@router.get(
    "/jobs/{job_id}/artifacts",
    operation_id="list_job_artifacts",
    summary="Files of a job",
    responses=documented(404),
)
def list_job_artifacts(session: ReadSession, tenant: TenantDep, job_id: str) -> ArtifactList:
    """Everything the job made, with sizes and digests."""
    rows = jobs.artifacts(session, find(session, tenant, job_id).id)
    return ArtifactList(items=[service.shown(row) for row in rows])


@router.get(
    "/jobs/{job_id}/artifacts/{name:path}",
    operation_id="download_job_artifact",
    summary="Download a file of a job",
    response_class=Response,
    responses=_file_responses(ANY),
)
def download_job_artifact(
    request: Request,
    context: ContextDep,
    tenant: TenantDep,
    place: Storing,
    job_id: str,
    name: str,
    redirect: Redirect = True,
) -> Response:
    """The file, streamed. Takes `Range` with `If-Range`; `ETag` is its sha256, `Repr-Digest` the same."""
    return _download(request, context, tenant, job_id, name, redirect)


def _download(request: Request, context: Context, tenant: str, job_id: str, name: str, redirect: bool) -> Response:
    def look() -> StoredFile:
        with context.database.read() as session:
            return service.stored(session, tenant, job_id, name)

    file = look()
    with still_there(look):
        return respond(context.objects, context.lanes.storing, file, request.headers, redirect)


@router.get(
    "/jobs/{job_id}/manifest",
    operation_id="get_job_manifest",
    summary="Manifest of a job",
    response_class=Response,
    responses=documented(404, 409, also={200: {"description": "manifest.json.", "content": MANIFEST}}),
)
def get_job_manifest(session: ReadSession, tenant: TenantDep, job_id: str) -> Response:
    """Every file of a finished job with its sha256, and what it was made of."""
    return Response(manifest.content(session, tenant, job_id), media_type="application/json")


@router.get(
    "/jobs/{job_id}/manifest/signature",
    operation_id="get_job_manifest_signature",
    summary="Signature of a job's manifest",
    response_class=Response,
    responses=documented(404, 409, also={200: {"description": "manifest.json.minisig.", "content": TEXT}}),
)
def get_job_manifest_signature(context: ContextDep, session: ReadSession, tenant: TenantDep, job_id: str) -> Response:
    """The service's signature of the manifest's bytes, as minisign has it. `GET /signing-key` checks it."""
    said = manifest.content(session, tenant, job_id)
    key = manifest.signing_key(context.settings)
    return Response(key.sign(said, f"manifest of {job_id}"), media_type="text/plain")


@router.get(
    "/signing-key",
    operation_id="get_signing_key",
    summary="The service's public key",
    response_class=Response,
    responses=documented(also={200: {"description": "A minisign public key.", "content": TEXT}}),
)
def get_signing_key(context: ContextDep, tenant: TenantDep) -> Response:
    """What manifests are signed with, for `retort verify` and minisign."""
    return Response(manifest.signing_key(context.settings).public(), media_type="text/plain")


@router.get(
    "/jobs/{job_id}/student",
    operation_id="download_job_student",
    summary="Download the student",
    response_class=Response,
    responses=_file_responses(BINARY),
)
def download_job_student(
    request: Request, context: ContextDep, tenant: TenantDep, place: Storing, job_id: str, redirect: Redirect = True
) -> Response:
    """The distilled student's weights as safetensors; the job's `student` names its architecture. Of a language model
    its Hugging Face folder as a zip."""
    with context.database.read() as session:
        name = service.student_name(session, tenant, job_id)
    return _download(request, context, tenant, job_id, name, redirect)


@router.get(
    "/jobs/{job_id}/report",
    operation_id="download_job_report",
    summary="Download the report",
    response_class=Response,
    responses=_file_responses(REPORT),
)
def download_job_report(
    request: Request,
    context: ContextDep,
    tenant: TenantDep,
    place: Storing,
    job_id: str,
    accept: Accept = None,
    format: Annotated[Literal["md", "json"] | None, Query(description="Instead of Accept.")] = None,
    redirect: Redirect = True,
) -> Response:
    """Teacher, student and comparison on the untouched test set, as Markdown or JSON."""
    name = f"report.{format}" if format else service.REPORTS[best(accept, list(service.REPORTS))]
    answer = _download(request, context, tenant, job_id, name, redirect)
    answer.headers["Vary"] = "Accept"
    return answer
