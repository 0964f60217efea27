"""Credentials that tenants have left for publications: named, sealed, replaced, forgotten."""

from __future__ import annotations

import json

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from store.clock import db_now
from store.repositories import rows
from store.sealing import Sealer, each_opened
from store.tables import Secret


def get(session: Session, tenant_id: str, name: str) -> Secret | None:
    """The tenant's secret of that name, sealed."""
    return session.get(Secret, (tenant_id, name))


def all_of(session: Session, tenant_id: str) -> list[Secret]:
    """By name."""
    return list(session.scalars(select(Secret).where(Secret.tenant_id == tenant_id).order_by(Secret.name)))


def count(session: Session, tenant_id: str) -> int:
    return session.scalar(select(func.count()).select_from(Secret).where(Secret.tenant_id == tenant_id)) or 0


def put(session: Session, sealer: Sealer, tenant_id: str, name: str, values: dict[str, str]) -> Secret:
    """Keep the values under the name, in the place of those that were there."""
    content = json.dumps(values, separators=(",", ":")).encode()
    kept = {"parts": sorted(values), "sealed": sealer.seal(content, _owner(tenant_id, name))}
    new = rows.insert(session, Secret).values(tenant_id=tenant_id, name=name, **kept)
    session.execute(
        new.on_conflict_do_update(index_elements=["tenant_id", "name"], set_=kept | {"updated_at": db_now()})
    )
    return session.get_one(Secret, (tenant_id, name), populate_existing=True)


def opened(sealer: Sealer, row: Secret) -> dict[str, str]:
    """The values by their names. Raises `SealBroken`."""
    values: dict[str, str] = json.loads(sealer.open(row.sealed, _owner(row.tenant_id, row.name)))
    return values


def seal_all(session: Session, sealer: Sealer) -> int:
    """Seal by the first key what an older one sealed; how many. What no key opens stays as it is."""
    old = select(Secret).where(Secret.sealed.not_like(f"{sealer.first}.%")).with_for_update()

    def seal(row: Secret) -> None:
        owner = _owner(row.tenant_id, row.name)
        row.sealed = sealer.seal(sealer.open(row.sealed, owner), owner)

    return each_opened(session.scalars(old).all(), seal)


def _owner(tenant_id: str, name: str) -> str:
    return f"{tenant_id}/{name}"
