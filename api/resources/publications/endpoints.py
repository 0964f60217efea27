"""/jobs/{id}/publish and /jobs/{id}/publications."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Response

from api.http.auth import TenantDep
from api.http.idempotency import IdempotencyKeyDep, located
from api.http.openapi import documented
from api.resources.publications import service
from api.resources.publications.schemas import EXAMPLES, PublicationCreate, PublicationList, PublicationOut
from api.state.deps import ContextDep, ReadSession

router = APIRouter(tags=["results"])
_EXAMPLES = {each["target"]: {"value": each} for each in EXAMPLES}


@router.post(
    "/jobs/{job_id}/publish",
    operation_id="create_job_publication",
    summary="Publish a student",
    status_code=202,
    responses=documented(404, 409, 413, 415, 422),
)
async def create_job_publication(
    context: ContextDep,
    tenant: TenantDep,
    key: IdempotencyKeyDep,
    job_id: str,
    body: Annotated[PublicationCreate, Body(openapi_examples=_EXAMPLES)],
    response: Response,
) -> PublicationOut:
    """Queue a small job that hands the finished student over. What was asked for in the same words before is answered
    with that publication (`Idempotency-Replayed`), unless it failed or `again` is true. It is cancelled and retried as
    any job is."""
    made, replay = await context.lanes.writing.run(service.submit, context, tenant, job_id, body, key)
    located(response, made.links["self"], replay)
    return made


@router.get(
    "/jobs/{job_id}/publications",
    operation_id="list_job_publications",
    summary="Publications of a student",
    responses=documented(404),
)
def list_job_publications(session: ReadSession, tenant: TenantDep, job_id: str) -> PublicationList:
    """Where the student was handed over, and what each target calls the result."""
    return service.listed(session, tenant, job_id)


@router.get(
    "/jobs/{job_id}/publications/{publication_id}",
    operation_id="get_job_publication",
    summary="Show a publication",
    responses=documented(404),
)
def get_job_publication(session: ReadSession, tenant: TenantDep, job_id: str, publication_id: str) -> PublicationOut:
    """One publication: its state, its error, its receipt."""
    return service.shown(session, tenant, job_id, publication_id)
