"""What /api-keys does."""

from __future__ import annotations

import logging

from sqlalchemy.orm import Session

from api.errors.problems import Conflict, Forbidden, NotFound
from api.http.auth import Caller
from api.resources.keys.schemas import KeyCreate, KeyCreated, KeyOut
from api.state.deps import Work
from store.repositories import rows, tenants
from store.tables import ApiKey

log = logging.getLogger(__name__)


def find(session: Session, caller: Caller, key_id: str) -> ApiKey:
    """The caller's key; the operator finds everybody's. Raises `NotFound`, for another tenant's as for none."""
    row = tenants.get_key(session, key_id)
    if row is None or (row.tenant_id != caller.tenant and not caller.operator):
        raise NotFound(f"There is no API key {key_id!r}.", "GET /api-keys lists those there are.")
    return row


def page(
    session: Session, caller: Caller, tenant: str | None, before: str | None, limit: int
) -> tuple[list[ApiKey], bool]:
    """Keys of one tenant, the caller's unless the operator asks for another's."""
    wanted = tenant or caller.tenant
    if wanted != caller.tenant and not (caller.operator and tenants.get(session, wanted)):
        raise NotFound(f"There is no tenant {wanted!r}.", "GET /tenants lists those there are.")
    return tenants.key_page(session, wanted, before, limit)


def create(work: Work, caller: Caller, body: KeyCreate) -> KeyCreated:
    """A new key of the caller's tenant or, for the operator, of any. Raises `Conflict` where there are no keys."""
    if caller.key_id is None:
        detail = "This service runs without keys, for this machine alone; a key would open nothing."
        remedy = "Set RETORT_API_KEY, the first key, and start it again."
        raise Conflict(detail, remedy, code="keyless")
    tenant = caller.tenant
    if body.tenant is not None:
        if not caller.operator:
            raise Forbidden(
                "Only the operator makes keys of other tenants.", "Leave `tenant` out.", code="not_operator"
            )
        tenant = tenants.ensure(work.session, body.tenant).id
    scopes = ",".join(sorted(set(body.scopes)))
    row, key = tenants.new_key(work.session, tenant, body.name, scopes, body.expires_in_seconds)
    return KeyCreated(**shown(row).model_dump(), key=key)


def revoke(work: Work, caller: Caller, key_id: str) -> None:
    """Make a key worthless from the next request on. Raises `Conflict` for the one that asks."""
    row = find(work.session, caller, key_id)
    rows.lock(work.session, row)
    if row.id == caller.key_id:
        raise Conflict("This is the key that you are using.", "Revoke it with another admin's.", code="own_key")
    log.info("%s (%s of %s, last used %s) is revoked", row.id, row.name, row.tenant_id, row.last_used_at)
    work.session.delete(row)
    work.after_commit(work.context.known_keys.forget)


def shown(row: ApiKey) -> KeyOut:
    return KeyOut(
        id=row.id,
        name=row.name,
        tenant=row.tenant_id,
        scopes=row.scopes.split(","),
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
    )
