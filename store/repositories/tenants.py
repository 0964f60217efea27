"""Tenants and their keys."""

from __future__ import annotations

import hashlib

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from store.clock import db_now
from store.ids import new_id
from store.tables import ApiKey, Tenant

DEFAULT_TENANT = "tnt_default"


def ensure_default(session: Session) -> Tenant:
    """The tenant of embedded mode and of the first key; made if it is not there."""
    tenant = session.get(Tenant, DEFAULT_TENANT)
    if tenant is None:
        tenant = Tenant(id=DEFAULT_TENANT, name="default")
        session.add(tenant)
        session.flush()
    return tenant


def key_hash(key: str) -> str:
    """sha256 of a key in hex. Keys are random and long, so no salt or stretching is needed."""
    return hashlib.sha256(key.encode()).hexdigest()


def ensure_key(session: Session, tenant_id: str, name: str, key: str) -> None:
    """Make `key` valid for the tenant; nothing happens when it is already."""
    if session.scalar(select(ApiKey).where(ApiKey.key_hash == key_hash(key))) is None:
        session.add(ApiKey(id=new_id("key"), tenant_id=tenant_id, name=name, key_hash=key_hash(key)))


def tenant_of_key(session: Session, key: str) -> str | None:
    """The tenant that `key` opens, or None when it is unknown or expired. Notes its use at most once a minute."""
    valid = or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > db_now())
    row = session.scalar(select(ApiKey).where(ApiKey.key_hash == key_hash(key), valid))
    return row.tenant_id if row else None


def note_key_use(session: Session, key: str) -> None:
    """Write `last_used_at`, unless it was written in the last minute."""
    stale = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < db_now(-60))
    session.execute(update(ApiKey).where(ApiKey.key_hash == key_hash(key), stale).values(last_used_at=db_now()))
