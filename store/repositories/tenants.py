"""Tenants and their keys."""

from __future__ import annotations

import hashlib
import secrets

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from store.clock import db_now
from store.ids import new_id
from store.repositories import rows
from store.repositories.page import newest_first
from store.tables import ALL_SCOPES, ApiKey, Tenant

DEFAULT_TENANT = "tnt_default"
KEY_PREFIX = "rtk_"


def ensure_default(session: Session) -> Tenant:
    """The tenant of embedded mode and of the first key; made if it is not there."""
    tenant = session.get(Tenant, DEFAULT_TENANT)
    if tenant is None:
        tenant = Tenant(id=DEFAULT_TENANT, name="default")
        session.add(tenant)
        session.flush()
    return tenant


def ensure(session: Session, name: str) -> Tenant:
    """The tenant of that name; made if it is not there."""
    query = select(Tenant).where(Tenant.name == name)
    tenant = session.scalar(query)
    if tenant is not None:
        return tenant
    # Another request may make the same at the same moment: the first one's stays, and both have it.
    session.execute(rows.insert(session, Tenant).values(id=new_id("tnt"), name=name).on_conflict_do_nothing())
    return session.scalars(query).one()


def get(session: Session, tenant_id: str) -> Tenant | None:
    return session.get(Tenant, tenant_id)


def page(session: Session, before: str | None, limit: int) -> tuple[list[Tenant], bool]:
    """All tenants, the newest first, and whether more follow."""
    return newest_first(session, select(Tenant), Tenant.id, before, limit)


def key_hash(key: str) -> str:
    """sha256 of a key in hex. Keys are random and long, so no salt or stretching is needed."""
    return hashlib.sha256(key.encode()).hexdigest()


def new_key(
    session: Session, tenant_id: str, name: str, scopes: str = ALL_SCOPES, lives_seconds: float | None = None
) -> tuple[ApiKey, str]:
    """A row and the key itself (256 random bits), which nobody can read from the row again."""
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    ends = None if lives_seconds is None else db_now(lives_seconds)
    row = ApiKey(
        id=new_id("key"), tenant_id=tenant_id, name=name, key_hash=key_hash(key), scopes=scopes, expires_at=ends
    )
    session.add(row)
    session.flush()
    session.refresh(row)
    return row, key


def ensure_key(session: Session, tenant_id: str, name: str, key: str) -> None:
    """Make `key` valid for the tenant; nothing happens when it is already."""
    if session.scalar(select(ApiKey).where(ApiKey.key_hash == key_hash(key))) is None:
        session.add(ApiKey(id=new_id("key"), tenant_id=tenant_id, name=name, key_hash=key_hash(key)))


def find_key(session: Session, hashed: str) -> ApiKey | None:
    """The row of the key with this `key_hash`, if it is valid now."""
    valid = or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > db_now())
    return session.scalar(select(ApiKey).where(ApiKey.key_hash == hashed, valid))


def key_page(session: Session, tenant_id: str, before: str | None, limit: int) -> tuple[list[ApiKey], bool]:
    """A tenant's keys, newest first, and whether more follow."""
    return newest_first(session, select(ApiKey).where(ApiKey.tenant_id == tenant_id), ApiKey.id, before, limit)


def get_key(session: Session, key_id: str) -> ApiKey | None:
    return session.get(ApiKey, key_id)


def note_key_use(session: Session, key_id: str) -> None:
    """Write `last_used_at`, unless it was written in the last minute."""
    stale = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < db_now(-60))
    session.execute(update(ApiKey).where(ApiKey.id == key_id, stale).values(last_used_at=db_now()))
