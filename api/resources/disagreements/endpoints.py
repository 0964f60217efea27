"""/jobs/{id}/disagreements."""

from __future__ import annotations

from fastapi import APIRouter

from api.http.auth import TenantDep
from api.http.files import StoredFile, still_there
from api.http.openapi import documented
from api.http.paging import Limit, NumberCursor
from api.resources.disagreements import service
from api.resources.disagreements.schemas import DisagreementPage
from api.state.deps import ContextDep, Storing

router = APIRouter(tags=["results"])


@router.get(
    "/jobs/{job_id}/disagreements",
    operation_id="list_job_disagreements",
    summary="Test samples on which student and teacher differ most",
    responses=documented(404, 422),
)
def list_job_disagreements(
    context: ContextDep, tenant: TenantDep, place: Storing, job_id: str, cursor: NumberCursor, limit: Limit = 50
) -> DisagreementPage:
    """Ranked by how far the two networks' answers are from each other, whatever the labels are: at most 100 samples of
    the test set, made when the job ends."""

    def look() -> StoredFile:
        with context.database.read() as session:
            return service.stored(session, tenant, job_id)

    file = look()
    with still_there(look):
        return service.page(context.objects, file, job_id, cursor, limit)
