"""`Idempotency-Key` on POST: sent again after a lost answer, the request is answered again and not done again."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any

from fastapi import Header
from sqlalchemy.orm import Session

from api.problems import Unprocessable
from store.repositories import idempotency

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


def request_hash(path: str, content: Any) -> str:
    """sha256 over the path and the content in canonical JSON."""
    text = json.dumps([path, content], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def replayed(session: Session, tenant_id: str, key: str | None, hashed: str) -> str | None:
    """Id of what an earlier request with this key made; None when this one is the first (or has no key).

    While the first is in flight this one waits for its transaction, which is short, and then is a replay: there is
    no answer "try again". Raises `Unprocessable` when the key came with another body.
    """
    row = idempotency.reserve(session, tenant_id, key, hashed) if key else None
    if row is None:
        return None
    if row.request_hash != hashed:
        remedy = "Use a new key for a new request."
        raise Unprocessable("This Idempotency-Key came with another request.", remedy, code="idempotency_key_reused")
    return row.resource_id
