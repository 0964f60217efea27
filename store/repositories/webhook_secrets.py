"""Webhooks' signing secrets: sealed as credentials are where the operator has a key, and kept as they are where not.

A service without a key signs too, as releases before did; once it has one, `seal_all` seals what lies open. Owner of a
seal: tenant/webhook/id, which no name of a credential is.
"""

from __future__ import annotations

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from store.sealing import REMEDY, SealBroken, Sealer
from store.tables import Webhook

BATCH = 100


def keep(row: Webhook, secret: str, sealer: Sealer | None) -> None:
    """Give a new or locked row its secret."""
    row.secret, row.sealed = (secret, None) if sealer is None else ("", sealer.seal(secret.encode(), _owner(row)))


def of(row: Webhook, sealer: Sealer | None) -> str:
    """The secret of a row. Raises `SealBroken` where no key opens it."""
    if row.sealed is None:
        return row.secret
    if sealer is None:
        raise SealBroken("This worker has no key to open the webhook's secret with.", REMEDY)
    return sealer.open(row.sealed, _owner(row)).decode()


def seal_all(session: Session, sealer: Sealer) -> int:
    """Seal by the first key what lies open or was sealed by an older one; how many. What no key opens stays."""
    other = or_(Webhook.sealed.is_(None), Webhook.sealed.not_like(f"{sealer.first}.%"))
    done, last = 0, ""
    while True:
        rows = session.scalars(
            select(Webhook).where(other, Webhook.id > last).order_by(Webhook.id).limit(BATCH).with_for_update()
        ).all()
        for row in rows:
            done += _sealed_anew(row, sealer)
        session.flush()
        if len(rows) < BATCH:
            return done
        last = rows[-1].id


def _sealed_anew(row: Webhook, sealer: Sealer) -> bool:
    try:
        keep(row, of(row, sealer), sealer)
    except SealBroken:
        return False
    return True


def _owner(row: Webhook) -> str:
    return f"{row.tenant_id}/webhook/{row.id}"
