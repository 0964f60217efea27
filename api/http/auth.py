"""Whose request this is: by bearer key, or the one tenant of embedded mode."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
import time
from dataclasses import dataclass, field
from typing import Annotated, Literal

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.errors.problems import Forbidden, TooManyRequests, Unauthorized, Unavailable
from api.middleware.guard import SAFE
from api.state.context import Context
from api.state.deps import ContextDep
from store.database import AWAY
from store.repositories import tenants

log = logging.getLogger(__name__)
Scope = Literal["read", "write", "admin", "metrics"]
NOTE_SECONDS, NOTING_SECONDS = 60.0, 0.5
#: What a scope allows besides itself.
IMPLIED: dict[str, frozenset[str]] = {
    "read": frozenset({"read"}),
    "write": frozenset({"read", "write"}),
    "admin": frozenset({"read", "write", "admin", "metrics"}),
    "metrics": frozenset({"metrics"}),
}
_bearer = HTTPBearer(auto_error=False, description="An API key. Embedded mode on loopback needs none.")


@dataclass(frozen=True)
class Caller:
    """Who asks, and what that may do."""

    tenant: str
    key_id: str | None
    scopes: frozenset[str]
    key_hash: str = field(default="", repr=False)

    def may(self, scope: Scope) -> bool:
        return any(scope in IMPLIED[held] for held in self.scopes)

    @property
    def operator(self) -> bool:
        """An admin of the first tenant: sees all tenants, and makes keys and quotas for them."""
        return self.tenant == tenants.DEFAULT_TENANT and self.may("admin")


#: Without keys everybody is the first tenant and may do everything.
EVERYBODY = Caller(tenants.DEFAULT_TENANT, None, IMPLIED["admin"])


async def caller(
    request: Request,
    context: ContextDep,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Caller:
    """Whose key the request carries. Raises `Unauthorized`, `TooManyRequests`, and `Forbidden` for a key that may not
    use the request's method."""
    found = await _known(context, credentials)
    require(found, "read" if request.method in SAFE else "write")
    return found


async def _known(context: Context, credentials: HTTPAuthorizationCredentials | None) -> Caller:
    if not context.settings.api_key.get_secret_value():
        return EVERYBODY
    if credentials is None:
        raise _unauthorized("This service needs an API key.")
    hashed = tenants.key_hash(credentials.credentials)
    found: Caller | None = context.known_keys.get(hashed)
    if found is None:
        found = await context.lanes.keys.run(_look_up, context, hashed)
        if found is None:
            raise _unauthorized("This API key is unknown or has expired.")
        await _note_use(context, str(found.key_id))
    _check_rate(context, str(found.key_id))
    return found


def _look_up(context: Context, hashed: str) -> Caller | None:
    """From the database, and remembered for a second: a client in a hurry costs one look a second."""
    with context.database.read() as session:
        key = tenants.find_key(session, hashed)
    if key is None:
        return None
    found = Caller(key.tenant_id, key.id, frozenset(key.scopes.split(",")), hashed)
    context.known_keys.put(hashed, found)
    return found


async def still_valid(context: Context, caller: Caller) -> bool:
    """Whether the caller's key still holds: for answers that go on long after it was checked."""
    if caller.key_id is None or context.known_keys.get(caller.key_hash) is not None:
        return True
    return await context.lanes.keys.run(_look_up, context, caller.key_hash) is not None


CallerDep = Annotated[Caller, Depends(caller)]


async def tenant_id(caller: CallerDep) -> str:
    return caller.tenant


async def admin(caller: CallerDep) -> Caller:
    require(caller, "admin")
    return caller


async def scraper(
    context: ContextDep, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> None:
    """Figures of all tenants: for a key of the first tenant with the scope `metrics` (or `admin`), for this machine
    where there are no keys, and for everybody where a setting says so. Raises `Unauthorized`, `Forbidden`."""
    if context.settings.metrics_open:
        return
    found = await _known(context, credentials)
    require(found, "metrics")
    if found.tenant != tenants.DEFAULT_TENANT:
        raise Forbidden("The figures are of all tenants.", "Use a key of the operator's tenant.", code="not_operator")


TenantDep = Annotated[str, Depends(tenant_id)]
AdminDep = Annotated[Caller, Depends(admin)]


def require(caller: Caller, scope: Scope) -> None:
    """Raise `Forbidden` unless the caller may."""
    if not caller.may(scope):
        detail = f"This API key has the scopes {', '.join(sorted(caller.scopes))}; this needs {scope}."
        details = {"needed": scope, "scopes": sorted(caller.scopes)}
        raise Forbidden(detail, "Use a key with that scope.", code="scope_missing", details=details)


def _unauthorized(detail: str) -> Unauthorized:
    remedy = "Send the header Authorization: Bearer <key>; the operator's RETORT_API_KEY is the first key."
    return Unauthorized(detail, remedy, headers={"WWW-Authenticate": 'Bearer realm="retort"'})


def _check_rate(context: Context, key_id: str) -> None:
    seconds = context.limiter.take(key_id)
    if seconds:
        settings = context.settings
        detail = f"This key sends more than {settings.rate_limit_per_second:g} requests a second."
        headers = {"Retry-After": str(math.ceil(seconds))}
        details = {"per_second": settings.rate_limit_per_second, "burst": settings.rate_limit_burst}
        remedy = "Wait as long as Retry-After says; use Prefer: wait=N or events instead of polling."
        raise TooManyRequests(detail, remedy, code="rate_limited", headers=headers, details=details)


async def _note_use(context: Context, key_id: str) -> None:
    """At most one write a minute and key: a read must not cost a write. Nor must it wait for one for long, or fail with
    it: a lock that somebody holds, or a database that takes no writes, would stop every reader."""
    now = time.monotonic()
    if now - context.noted_keys.get(key_id, -NOTE_SECONDS) < NOTE_SECONDS:
        return
    context.noted_keys[key_id] = now
    noting = asyncio.create_task(_write_use(context, key_id), context=contextvars.Context())
    await asyncio.wait([noting], timeout=NOTING_SECONDS)


async def _write_use(context: Context, key_id: str) -> None:
    def write() -> None:
        with context.database.write() as session:
            tenants.note_key_use(session, key_id)

    try:
        await context.lanes.writing.run(write)
    except (*AWAY, Unavailable) as error:
        log.warning("the use of %s is not noted: %s", key_id, str(error).partition("\n")[0])
