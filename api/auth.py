"""Whose request this is: by bearer key, or the one tenant of embedded mode."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.context import Context
from api.deps import ContextDep
from api.problems import Unauthorized
from store.repositories import tenants

NOTE_SECONDS = 60.0
_bearer = HTTPBearer(auto_error=False, description="An API key. Embedded mode on loopback needs none.")


def tenant_id(
    context: ContextDep, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> str:
    """The tenant whose key the request carries. Raises `Unauthorized`."""
    if not context.settings.api_key.get_secret_value():
        return tenants.DEFAULT_TENANT
    if credentials is None:
        raise _unauthorized("This service needs an API key.")
    with context.database.read() as session:
        tenant = tenants.tenant_of_key(session, credentials.credentials)
    if tenant is None:
        raise _unauthorized("This API key is unknown or has expired.")
    _note_use(context, credentials.credentials)
    return tenant


TenantDep = Annotated[str, Depends(tenant_id)]


def _unauthorized(detail: str) -> Unauthorized:
    remedy = "Send the header Authorization: Bearer <key>; the operator's RETORT_API_KEY is the first key."
    return Unauthorized(detail, remedy, headers={"WWW-Authenticate": 'Bearer realm="retort"'})


def _note_use(context: Context, key: str) -> None:
    """At most one write a minute and key: a read must not cost a write."""
    hashed, now = tenants.key_hash(key), time.monotonic()
    if now - context.noted_keys.get(hashed, -NOTE_SECONDS) < NOTE_SECONDS:
        return
    context.noted_keys[hashed] = now  # two threads at once cost one write more, no lock is worth that
    with context.database.write() as session:
        tenants.note_key_use(session, key)
