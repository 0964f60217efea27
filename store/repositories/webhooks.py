"""Webhooks: whom to tell, and how well that goes."""

from __future__ import annotations

from sqlalchemy import func, select, type_coerce, update
from sqlalchemy.orm import Session

from store.clock import UTCDateTime, db_now
from store.repositories import outbox
from store.repositories.page import newest_first
from store.tables import Webhook

_NO_SYNC = {"synchronize_session": False}


def get(session: Session, tenant_id: str, webhook_id: str) -> Webhook | None:
    """The webhook, if it is this tenant's."""
    row = session.get(Webhook, webhook_id)
    return row if row is not None and row.tenant_id == tenant_id else None


def page(session: Session, tenant_id: str, before: str | None, limit: int) -> tuple[list[Webhook], bool]:
    """A tenant's webhooks, newest first, and whether more follow."""
    return newest_first(session, select(Webhook).where(Webhook.tenant_id == tenant_id), Webhook.id, before, limit)


def count(session: Session, tenant_id: str) -> int:
    return session.scalar(select(func.count()).select_from(Webhook).where(Webhook.tenant_id == tenant_id)) or 0


def lock(session: Session, webhook_id: str) -> None:
    """Nobody enables or disables it until commit. Lock no delivery before it. (SQLite has one writer at a time
    anyway.)"""
    session.execute(select(Webhook.id).where(Webhook.id == webhook_id).with_for_update(key_share=True))


def enable(session: Session, row: Webhook) -> None:
    """It is told again what happens from now on."""
    row.enabled, row.disabled_reason, row.failing_since = True, None, None
    session.flush()


def disable(session: Session, webhook_id: str, reason: str) -> None:
    """It is told nothing any more until its owner enables it; what waits is given up. What this is decided by must be
    read under the same `lock`: an owner may be about to enable it."""
    off = update(Webhook).where(Webhook.id == webhook_id).values(enabled=False, disabled_reason=reason)
    session.execute(off, execution_options=_NO_SYNC)
    outbox.give_up(session, webhook_id)


def succeeded(session: Session, webhook_id: str) -> None:
    works = update(Webhook).where(Webhook.id == webhook_id, Webhook.failing_since.is_not(None))
    session.execute(works.values(failing_since=None), execution_options=_NO_SYNC)


def failed(session: Session, webhook_id: str) -> float:
    """Note a try that failed; seconds since the first of those behind the last success."""
    fails = update(Webhook).where(Webhook.id == webhook_id, Webhook.failing_since.is_(None))
    session.execute(fails.values(failing_since=db_now()), execution_options=_NO_SYNC)
    ages = select(Webhook.failing_since, type_coerce(db_now(), UTCDateTime())).where(Webhook.id == webhook_id)
    row = session.execute(ages).first()
    return 0.0 if row is None or row[0] is None else float((row[1] - row[0]).total_seconds())
