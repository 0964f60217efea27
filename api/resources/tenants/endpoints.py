"""/tenants."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api.http.auth import AdminDep, CallerDep
from api.http.negotiation import IfNoneMatch
from api.http.openapi import documented
from api.http.paging import Cursor, Limit, encode
from api.http.preconditions import CONDITIONAL, HEADERS, IfMatch, require, stamped, tag_of, tagged
from api.resources.tenants import service
from api.resources.tenants.schemas import Quotas, TenantOut, TenantPage
from api.state.deps import ContextDep, ListSession, ReadSession, WorkDep
from store.repositories import rows

router = APIRouter(tags=["keys"])


@router.get("/tenants", operation_id="list_tenants", summary="List tenants", responses=documented(422))
def list_tenants(
    context: ContextDep, session: ListSession, caller: CallerDep, cursor: Cursor, limit: Limit = 50
) -> TenantPage:
    """Your own with its quotas and what it uses of them; all of them for the operator. A tenant is made with its first
    key."""
    rows, more = service.page(session, caller, cursor, limit)
    items = [service.shown(session, context.settings, row) for row in rows]
    return TenantPage(items=items, next_cursor=encode(rows[-1].id) if more else None)


@router.get(
    "/tenants/{tenant_id}",
    operation_id="get_tenant",
    summary="Show a tenant",
    response_model=TenantOut,
    responses=documented(404, also=CONDITIONAL),
)
def get_tenant(
    context: ContextDep,
    session: ReadSession,
    caller: CallerDep,
    tenant_id: str,
    response: Response,
    if_none_match: IfNoneMatch = None,
) -> TenantOut | Response:
    """One tenant with its quotas and what it uses of them."""
    shown = service.shown(session, context.settings, service.find(session, caller, tenant_id))
    return tagged(shown, response, if_none_match)


@router.put(
    "/tenants/{tenant_id}/quotas",
    operation_id="set_tenant_quotas",
    summary="Set quotas",
    responses=documented(403, 404, 412, 413, 415, 422, also={200: {"headers": HEADERS}}),
)
def set_tenant_quotas(
    context: ContextDep,
    work: WorkDep,
    caller: AdminDep,
    tenant_id: str,
    body: Quotas,
    response: Response,
    if_match: IfMatch = None,
) -> TenantOut:
    """For the operator: replace a tenant's own limits."""
    if if_match is not None:
        row = service.find(work.session, caller, tenant_id)
        rows.lock(work.session, row)
        require(if_match, tag_of(service.shown(work.session, context.settings, row)))
    row = service.set_quotas(work, caller, tenant_id, body)
    return stamped(service.shown(work.session, context.settings, row), response)
