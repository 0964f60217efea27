"""What /tenants does."""

from __future__ import annotations

from sqlalchemy.orm import Session

from api.errors.problems import Forbidden, NotFound
from api.http.auth import Caller
from api.resources.tenants.schemas import Limits, Quotas, TenantOut
from api.state.deps import Work
from store.repositories import quotas, tenants
from store.settings import Settings
from store.tables import Tenant


def find(session: Session, caller: Caller, tenant_id: str) -> Tenant:
    """The caller's tenant; the operator finds every one. Raises `NotFound`."""
    row = tenants.get(session, tenant_id)
    if row is None or (row.id != caller.tenant and not caller.operator):
        raise NotFound(f"There is no tenant {tenant_id!r}.", "GET /tenants lists those there are.")
    return row


def page(session: Session, caller: Caller, before: str | None, limit: int) -> tuple[list[Tenant], bool]:
    """All tenants for the operator, else the caller's own."""
    if caller.operator:
        return tenants.page(session, before, limit)
    own = find(session, caller, caller.tenant)
    return [] if before and own.id >= before else [own], False


def set_quotas(work: Work, caller: Caller, tenant_id: str, body: Quotas) -> Tenant:
    """Replace a tenant's own limits. Raises `Forbidden` for who is not the operator."""
    row = find(work.session, caller, tenant_id)
    if not caller.operator:
        raise Forbidden("Only the operator sets quotas.", "Ask the operator.", code="not_operator")
    row.max_running_jobs, row.max_queued_jobs = body.running_jobs, body.queued_jobs
    row.max_stored_bytes = body.stored_bytes
    work.session.flush()
    work.after_commit(lambda: work.context.doorbell.ring("job", ""))  # jobs that waited for room may start
    return row


def shown(session: Session, settings: Settings, row: Tenant) -> TenantOut:
    limits = quotas.of(session, settings, row.id)
    return TenantOut(
        id=row.id,
        name=row.name,
        limits=Limits(
            running_jobs=limits.running_jobs, queued_jobs=limits.queued_jobs, stored_bytes=limits.stored_bytes
        ),
        used=Limits(
            running_jobs=quotas.running(session, row.id),
            queued_jobs=quotas.queued(session, row.id),
            stored_bytes=quotas.stored_bytes(session, row.id),
        ),
        created_at=row.created_at,
    )
