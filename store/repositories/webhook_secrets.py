"""Webhooks' signing secrets: sealed as credentials are where the operator has a key, and kept as they are where not.

A service without a key signs too, as releases before did; once it has one, `seal_all` seals what lies open. Owner of a
seal: tenant/webhook/id, which no name of a credential is.
"""

from __future__ import annotations

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from store.sealing import REMEDY, SealBroken, Sealer, each_opened
from store.tables import Webhook


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
    rows = session.scalars(select(Webhook).where(other).order_by(Webhook.id).with_for_update()).all()
    return each_opened(rows, lambda row: keep(row, of(row, sealer), sealer))


def _owner(row: Webhook) -> str:
    return f"{row.tenant_id}/webhook/{row.id}"
