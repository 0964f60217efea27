"""`Idempotency-Key` on POST: sent again after a lost answer, the request is answered again and not done again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Depends, Header, Response
from sqlalchemy.orm import Session

from api.errors.problems import Conflict, Unprocessable
from api.http.auth import TenantDep
from api.state.deps import ContextDep
from store.repositories import idempotency

RETRY_SECONDS = "1"
IdempotencyKeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Any text of your own: the same key and body within 24 h make one resource, however often sent.",
    ),
]


async def idempotency_key(
    context: ContextDep, tenant: TenantDep, key: IdempotencyKeyHeader = None
) -> AsyncIterator[str | None]:
    """The request's key, held until it is answered. Raises `Conflict` while another request holds it: before a byte
    of the body is read, so that a large file is not sent for nothing."""
    if key is None:
        yield None
        return
    with context.in_flight.hold(tenant, key) as free:
        if not free:
            raise _in_flight()
        yield key


IdempotencyKeyDep = Annotated[str | None, Depends(idempotency_key, scope="function")]


def located(response: Response, link: str, replay: bool) -> None:
    """Where the resource of an answer stands, and that an earlier request made it if so."""
    response.headers["Location"] = link
    if replay:
        response.headers["Idempotency-Replayed"] = "true"


def request_hash(path: str, content: Any) -> str:
    """sha256 over the path and the content in canonical JSON."""
    text = json.dumps([path, content], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def replayed(session: Session, tenant_id: str, key: str | None, hashed: str) -> str | None:
    """Id of what an earlier request with this key made; None when this one is the first (or has no key).

    Raises `Conflict` while another process writes down what a request with this key made, and `Unprocessable` when
    the key came with another body.
    """
    if not key:
        return None
    if not idempotency.try_lock(session, tenant_id, key):
        raise _in_flight()
    row = idempotency.reserve(session, tenant_id, key, hashed)
    if row is None:
        return None
    if row.request_hash != hashed:
        remedy = "Use a new key for a new request."
        raise Unprocessable("This Idempotency-Key came with another request.", remedy, code="idempotency_key_reused")
    return row.resource_id


def _in_flight() -> Conflict:
    detail = "A request with this Idempotency-Key is being answered at this moment."
    remedy = "Send it again when Retry-After has passed: it is then answered as the first one was."
    headers = {"Retry-After": RETRY_SECONDS}
    return Conflict(detail, remedy, code="idempotency_key_in_flight", headers=headers, retryable=True)
