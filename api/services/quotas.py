"""Quotas as answers: 429 for what passes by itself (a full queue), 403 for what does not (a full store)."""

from __future__ import annotations

from sqlalchemy.orm import Session

from api.errors.problems import Forbidden, TooManyRequests
from store.repositories import quotas
from store.settings import Settings

RETRY_SECONDS = "60"


def check_queue(session: Session, settings: Settings, tenant: str, lock: bool = True) -> None:
    """Raise `TooManyRequests` when the tenant may not queue another job. With `lock` the tenant's row is held until
    commit; without it, for who queues nothing, the answer is of this moment."""
    most = quotas.of(session, settings, tenant).queued_jobs
    if not most:
        return
    if lock:
        quotas.lock(session, tenant)
    waiting = quotas.queued(session, tenant)
    if waiting >= most:
        detail = f"{waiting} of your jobs wait already, and {most} may."
        remedy = "Wait until one starts, or cancel one."
        details = {"quota": "queued_jobs", "limit": most, "used": waiting}
        headers = {"Retry-After": RETRY_SECONDS}
        raise TooManyRequests(detail, remedy, code="quota_exceeded", details=details, headers=headers)


def check_bytes(session: Session, settings: Settings, tenant: str, more: int, lock: bool = True) -> None:
    """Raise `Forbidden` when `more` bytes would be too many for the tenant. With `lock` the tenant's row is held until
    commit: the transaction that counts is the one that adds. Without it, what is too much already is spared the way."""
    most = quotas.of(session, settings, tenant).stored_bytes
    if not most:
        return
    if lock:
        quotas.lock(session, tenant)
    used = quotas.stored_bytes(session, tenant)
    if used + more > most:
        detail = f"You keep {used} bytes and may keep {most}; this would add {more}."
        remedy = "Delete jobs, teachers, datasets or uploads that you no longer need."
        details = {"quota": "stored_bytes", "limit": most, "used": used, "wanted": more}
        raise Forbidden(detail, remedy, code="quota_exceeded", details=details)
