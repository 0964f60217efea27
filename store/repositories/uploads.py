"""Uploads: made, joined under a lease, used once, removed when nobody comes back for them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import and_, delete, or_, select, update
from sqlalchemy.orm import Session

from store.clock import db_now
from store.ids import new_id
from store.repositories.leases import LeaseLost
from store.repositories.page import newest_first
from store.tables import Upload

_NO_SYNC = {"synchronize_session": False}


def get(session: Session, tenant_id: str, upload_id: str) -> Upload | None:
    """The upload, if it is this tenant's and not being removed."""
    row = session.get(Upload, upload_id, populate_existing=True)
    return row if row is not None and row.tenant_id == tenant_id and row.status != "expired" else None


def page(session: Session, tenant_id: str, before: str | None, limit: int) -> tuple[list[Upload], bool]:
    """A tenant's uploads, newest first, and whether more follow."""
    query = select(Upload).where(Upload.tenant_id == tenant_id, Upload.status != "expired")
    return newest_first(session, query, Upload.id, before, limit)


def touch(session: Session, upload_id: str, expiry_seconds: float) -> bool:
    """Somebody works on it: it expires later. False when it is not open any more."""
    values = {"expires_at": db_now(expiry_seconds)}
    return _changed(session, upload_id, [Upload.status == "open"], values)


def claim(session: Session, upload_id: str, lease_seconds: float) -> str | None:
    """Begin to join and verify: a lease token; None when somebody else does or it is not open."""
    token = new_id("lse")
    dead = and_(Upload.status == "completing", Upload.lease_until < db_now())
    values = {"status": "completing", "lease_token": token, "lease_until": db_now(lease_seconds)}
    return token if _changed(session, upload_id, [or_(Upload.status == "open", dead)], values) else None


def renew(session: Session, upload_id: str, token: str, lease_seconds: float) -> None:
    """Raises `LeaseLost`."""
    _held(session, upload_id, token, {"lease_until": db_now(lease_seconds)})


def finish(session: Session, upload_id: str, token: str, status: str, expiry_seconds: float, **values: Any) -> None:
    """Write how joining ended (`complete`, `failed`, or `open` to try again). Raises `LeaseLost`."""
    ended = {"status": status, "lease_token": None, "lease_until": None, "expires_at": db_now(expiry_seconds)}
    _held(session, upload_id, token, ended | values)


def take(session: Session, upload_id: str, resource_id: str) -> bool:
    """Give the bytes to a teacher or dataset. False when they are not complete, or another has them."""
    return _changed(session, upload_id, [Upload.status == "complete"], {"status": "used", "resource_id": resource_id})


def release(session: Session, resource_id: str, expiry_seconds: float) -> set[str]:
    """A resource was refused: its uploads may be used again. Their object keys, which must stay."""
    used = update(Upload).where(Upload.resource_id == resource_id, Upload.status == "used")
    values = {"status": "complete", "resource_id": None, "expires_at": db_now(expiry_seconds)}
    return set(session.scalars(used.values(**values).returning(Upload.object_key), execution_options=_NO_SYNC))


def forget(session: Session, resource_id: str) -> None:
    """A resource and its bytes are gone: so are its uploads."""
    session.execute(delete(Upload).where(Upload.resource_id == resource_id), execution_options=_NO_SYNC)


def expire(session: Session, upload_id: str) -> bool:
    """Its owner aborts it. False when it is in use, or being joined."""
    return _changed(session, upload_id, [Upload.status.in_(("open", "complete", "failed"))], {"status": "expired"})


def abandoned(session: Session, limit: int = 100) -> list[str]:
    """Ids of uploads to remove: nobody has touched them in time, or a removal was interrupted."""
    idle = Upload.status.in_(("open", "complete", "failed")) & (Upload.expires_at < db_now())
    dead = (Upload.status == "completing") & (Upload.expires_at < db_now()) & (Upload.lease_until < db_now())
    query = select(Upload.id).where(or_(Upload.status == "expired", idle, dead)).order_by(Upload.id).limit(limit)
    return list(session.scalars(query))


def mark_expired(session: Session, upload_id: str) -> Upload | None:
    """Take an abandoned upload out of use; its row while there is something to remove."""
    late = or_(Upload.lease_until.is_(None), Upload.lease_until < db_now())
    free = and_(Upload.status.in_(("open", "complete", "failed", "completing")), Upload.expires_at < db_now(), late)
    _changed(session, upload_id, [or_(free, Upload.status == "expired")], {"status": "expired"})
    row = session.get(Upload, upload_id, populate_existing=True)
    return row if row is not None and row.status == "expired" else None


def remove(session: Session, upload_id: str) -> None:
    gone = delete(Upload).where(Upload.id == upload_id, Upload.status == "expired")
    session.execute(gone, execution_options=_NO_SYNC)


def _held(session: Session, upload_id: str, token: str, values: dict[str, Any]) -> None:
    if not _changed(session, upload_id, [Upload.lease_token == token, Upload.status == "completing"], values):
        raise LeaseLost(upload_id)


def _changed(session: Session, upload_id: str, conditions: list[Any], values: dict[str, Any]) -> bool:
    query = update(Upload).where(Upload.id == upload_id, *conditions).values(**values)
    return bool(session.execute(query, execution_options=_NO_SYNC).rowcount)  # type: ignore[attr-defined]
