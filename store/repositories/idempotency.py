"""`Idempotency-Key`: the key's row is made in the transaction that makes the resource, so both are there or neither."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from store.clock import db_now
from store.repositories import rows
from store.tables import IdempotencyKey

LOCK_SEED = 6  # apart from other users of advisory locks
KEEP_SECONDS = 24 * 3600.0


def try_lock(session: Session, tenant_id: str, key: str) -> bool:
    """Until commit, nobody else gets True for the key. SQLite has one writer at a time anyway."""
    if session.get_bind().dialect.name != "postgresql":
        return True
    name = func.hashtextextended(f"{tenant_id} {key}", LOCK_SEED)
    return bool(session.scalar(select(func.pg_try_advisory_xact_lock(name))))


def known(session: Session, tenant_id: str, key: str | None) -> bool:
    """Whether an earlier request with this key has made something. (A guess: another may be about to.)"""
    return key is not None and session.get(IdempotencyKey, (tenant_id, key)) is not None


def reserve(session: Session, tenant_id: str, key: str, request_hash: str) -> IdempotencyKey | None:
    """None when the key is now this transaction's; else the row of whoever had it first.

    A transaction that reserves the same key at the same time makes this one wait for its end: PostgreSQL by the
    unique index, SQLite by its one write lock. So of any number of requests with one key exactly one gets None.
    """
    _forget_stale(session, tenant_id, key)
    values: dict[str, Any] = {"tenant_id": tenant_id, "key": key, "request_hash": request_hash}
    insert = rows.insert(session, IdempotencyKey).values(**values).on_conflict_do_nothing()
    if session.execute(insert.returning(IdempotencyKey.key)).first() is not None:
        return None
    query = select(IdempotencyKey).where(IdempotencyKey.tenant_id == tenant_id, IdempotencyKey.key == key)
    return session.scalars(query.execution_options(populate_existing=True)).one()


def answer(session: Session, tenant_id: str, key: str, status_code: int | None, resource_id: str) -> None:
    """Note what the request made and how it was answered (None: not answered yet)."""
    ours = update(IdempotencyKey).where(IdempotencyKey.tenant_id == tenant_id, IdempotencyKey.key == key)
    session.execute(ours.values(status_code=status_code, resource_id=resource_id))


def release(session: Session, tenant_id: str, resource_id: str) -> None:
    """Forget the keys that made a resource which is gone."""
    gone = (IdempotencyKey.tenant_id == tenant_id, IdempotencyKey.resource_id == resource_id)
    session.execute(delete(IdempotencyKey).where(*gone))


def forget_old(session: Session) -> int:
    """Remove keys of all tenants that are too old to be replayed; how many."""
    old = delete(IdempotencyKey).where(IdempotencyKey.created_at < db_now(-KEEP_SECONDS))
    return int(session.execute(old).rowcount)  # type: ignore[attr-defined]


def _forget_stale(session: Session, tenant_id: str, key: str) -> None:
    ours = (IdempotencyKey.tenant_id == tenant_id, IdempotencyKey.key == key)
    session.execute(delete(IdempotencyKey).where(*ours, IdempotencyKey.created_at < db_now(-KEEP_SECONDS)))
