"""/system, /livez, /readyz, /metrics."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Response
from prometheus_client import CONTENT_TYPE_LATEST

from api.http.auth import TenantDep, scraper
from api.http.openapi import documented
from api.resources.system import service
from api.resources.system.schemas import Alive, Ready, SystemOut
from api.state.deps import ContextDep, ReadSession

router = APIRouter(tags=["system"])


@router.get("/system", operation_id="get_system", summary="The service")
def get_system(context: ContextDep, session: ReadSession, tenant: TenantDep) -> SystemOut:
    """Version, workers that are alive, and the queue."""
    return service.overview(context, session, tenant)


@router.get("/livez", operation_id="get_livez", summary="Is the process alive?")
async def get_livez() -> Alive:
    """For restarts: answers as long as the process does, whatever it waits for. Needs no key."""
    return Alive(status="alive")


@router.get(
    "/readyz",
    operation_id="get_readyz",
    summary="Can the service serve?",
    responses={503: {"model": Ready, "description": "Not ready; the body says which part."}},
)
async def get_readyz(context: ContextDep, response: Response) -> Ready:
    """For load balancers: 200 when database and object store answer within a few seconds, else 503. Needs no key."""
    states = await context.readiness.states()
    ready = states["database"] == states["objects"] == "ok"
    response.status_code = 200 if ready else 503
    return Ready(status="ready" if ready else "not_ready", **states)


@router.get(
    "/metrics",
    operation_id="get_metrics",
    summary="Figures for Prometheus",
    dependencies=[Depends(scraper)],
    response_class=Response,
    responses=documented(403, also={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}),
)
async def get_metrics(context: ContextDep) -> Response:
    """Jobs, queue, leases, attempts and webhooks of all tenants from the database, and this process's own latencies.
    For keys of the operator's tenant with the scope `metrics` or `admin`."""
    return Response(await context.exposition.asked(context.lanes.reading), media_type=CONTENT_TYPE_LATEST)
