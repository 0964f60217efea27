"""/jobs/{id}/q-curve."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from starlette.concurrency import run_in_threadpool

from api.http.auth import TenantDep
from api.http.negotiation import Accept, best
from api.http.openapi import documented
from api.resources.curves import service
from api.resources.curves.schemas import CurveOut
from api.state.deps import ContextDep

router = APIRouter(tags=["results"])
MEDIA = {"json": "application/json", "csv": "text/csv", "svg": "image/svg+xml", "png": "image/png"}
TEXT: dict[str, Any] = {"schema": {"type": "string"}}


@router.get(
    "/jobs/{job_id}/q-curve",
    operation_id="get_job_q_curve",
    summary="Q curve of a job",
    response_model=CurveOut,
    responses=documented(
        404, 406, 409, 422, also={200: {"content": {media: TEXT for name, media in MEDIA.items() if name != "json"}}}
    ),
)
async def get_job_q_curve(
    context: ContextDep,
    tenant: TenantDep,
    job_id: str,
    accept: Accept = None,
    format: Annotated[Literal["json", "csv", "svg", "png"] | None, Query(description="Instead of Accept.")] = None,
    teacher: Annotated[int, Query(ge=0, le=63, description="Which of several teachers, counted from 0.")] = 0,
) -> CurveOut | Response:
    """How much knowledge each of the teacher's layers holds; of several teachers each has a curve. Fills layer by
    layer while the job is `scoring`; JSON, CSV, or a picture of S, I, E and Q with the chosen layers."""
    media = MEDIA[format] if format else best(accept, list(MEDIA.values()))

    def load() -> service.Scored:
        with context.database.read() as session:
            return service.load(session, tenant, job_id, teacher)

    found = await context.lanes.reading.run(load)
    if media == MEDIA["json"]:
        return service.shown(found)
    headers = {"Vary": "Accept", "X-Content-Type-Options": "nosniff"}
    picture = await run_in_threadpool(service.drawn, service.curve(found), media)
    return Response(picture, media_type=media, headers=headers)
