"""/system, /livez, /readyz."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api.auth import TenantDep
from api.deps import ContextDep, ReadSession
from api.resources.system import service
from api.resources.system.schemas import Alive, Ready, SystemOut

router = APIRouter(tags=["system"])


@router.get("/system", operation_id="get_system", summary="The service")
def get_system(context: ContextDep, session: ReadSession, tenant: TenantDep) -> SystemOut:
    """Version, workers that are alive, and the queue."""
    return service.overview(context, session, tenant)


@router.get("/livez", operation_id="get_livez", summary="Is the process alive?")
def get_livez() -> Alive:
    """For restarts: answers as long as the process does. Needs no key."""
    return Alive(status="alive")


@router.get(
    "/readyz",
    operation_id="get_readyz",
    summary="Can the service serve?",
    responses={503: {"model": Ready, "description": "Not ready; the body says which part."}},
)
def get_readyz(context: ContextDep, response: Response) -> Ready:
    """For load balancers: 200 when database and object store answer, else 503. Needs no key."""
    ready = service.readiness(context)
    response.status_code = 200 if ready.status == "ready" else 503
    return ready
