"""/jobs/{id}/exports."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Response

from api.http.auth import TenantDep
from api.http.idempotency import IdempotencyKeyDep, located
from api.http.openapi import documented
from api.resources.exports import service
from api.resources.exports.schemas import EXAMPLES, ExportCreate, ExportList, ExportOut
from api.state.deps import ContextDep, ReadSession

router = APIRouter(tags=["results"])
_EXAMPLES = {"onnx": {"value": EXAMPLES[0]}, "int8": {"value": EXAMPLES[1]}}


@router.post(
    "/jobs/{job_id}/exports",
    operation_id="create_job_export",
    summary="Export a student",
    status_code=202,
    responses=documented(404, 409, 413, 415, 422),
)
async def create_job_export(
    context: ContextDep,
    tenant: TenantDep,
    key: IdempotencyKeyDep,
    job_id: str,
    body: Annotated[ExportCreate, Body(openapi_examples=_EXAMPLES)],
    response: Response,
) -> ExportOut:
    """Queue a small job that writes the finished student in this format, compares the file with torch, and judges it
    on the test set by its own runtime. The answer has its `Location`; it is cancelled and retried as any job is."""
    made, replay = await context.lanes.writing.run(service.submit, context, tenant, job_id, body, key)
    located(response, made.links["self"], replay)
    return made


@router.get(
    "/jobs/{job_id}/exports",
    operation_id="list_job_exports",
    summary="Exports of a student",
    responses=documented(404),
)
def list_job_exports(session: ReadSession, tenant: TenantDep, job_id: str) -> ExportList:
    """Those that the job's configuration asked for, and those that were asked for later, with what each is worth."""
    return service.listed(session, tenant, job_id)


@router.get(
    "/jobs/{job_id}/exports/{export_id}",
    operation_id="get_job_export",
    summary="Show an export",
    responses=documented(404),
)
def get_job_export(session: ReadSession, tenant: TenantDep, job_id: str, export_id: str) -> ExportOut:
    """One export: its state, its figures beside torch's, its files."""
    return service.shown(session, tenant, job_id, export_id)
