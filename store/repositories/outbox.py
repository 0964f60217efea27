"""What webhooks are to be told, written in the transaction that it tells of: neither is there without the other.

Delivery is at least once and in no promised order. A try holds its message by moving `next_at` ahead: when whoever
tries dies, the message is due again by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import case, delete, func, select, update
from sqlalchemy.orm import Session

from store.clock import db_now
from store.ids import new_id
from store.repositories import tallies, webhook_secrets
from store.repositories.page import newest_first
from store.repositories.rows import Gone
from store.sealing import SealBroken, Sealer
from store.states import STATUSES
from store.tables import Delivery, Webhook

ALL = "*"
TEST = "webhook.test"
#: What can be subscribed to: every status of a job.
TYPES: tuple[str, ...] = tuple(f"job.{status}" for status in STATUSES)
KEPT_TRIES = 20
_NO_SYNC = {"synchronize_session": False}


class Waiting(NamedTuple):
    """A message that may be tried, and whose it is."""

    id: str
    webhook_id: str
    tenant_id: str


@dataclass(frozen=True, slots=True)
class Due:
    """A message taken for one try, and where it goes. `secret`: what signs it, or the error of a seal that no key
    opens."""

    id: str
    webhook_id: str
    tenant_id: str
    url: str
    secret: str | SealBroken
    payload: dict[str, Any]
    tries: int  # this one included
    until: datetime  # the database's time at which it counts as lost; no two tries of a message have the same


def tell(session: Session, tenant_id: str, kind: str, data: dict[str, Any]) -> None:
    """Leave a message for every webhook of the tenant that has subscribed to `kind`."""
    query = select(Webhook.id, Webhook.events).where(Webhook.tenant_id == tenant_id, Webhook.enabled.is_(True))
    for webhook_id, events in session.execute(query).all():
        if not {ALL, kind}.isdisjoint(events.split(",")):
            add(session, webhook_id, kind, data)


def add(session: Session, webhook_id: str, kind: str, data: dict[str, Any]) -> Delivery:
    """One message for one webhook, due now."""
    stamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    payload = {"type": kind, "timestamp": stamp, "data": data}
    row = Delivery(id=new_id("msg"), webhook_id=webhook_id, type=kind, payload=payload)
    session.add(row)
    session.flush()
    return row


def due(session: Session, limit: int = 20, busy: Mapping[str, str] | None = None) -> list[Waiting]:
    """Messages that may be tried now: the oldest of each webhook, and tenant by tenant in turns, so that nobody's
    webhooks flood or are flooded. `busy`: webhooks with a try on its way, which are left out, each with its tenant,
    whose turns these have been."""
    busy = busy or {}
    free = [Webhook.id.not_in(list(busy))] if busy else []
    oldest = (
        select(
            func.min(Delivery.id).label("id"),
            Delivery.webhook_id,
            Webhook.tenant_id,
            func.min(Delivery.next_at).label("since"),
        )
        .join(Webhook, Webhook.id == Delivery.webhook_id)
        .where(Delivery.status == "pending", Delivery.next_at <= db_now(), Webhook.enabled.is_(True), *free)
        .group_by(Delivery.webhook_id, Webhook.tenant_id)
        .subquery()
    )
    place = func.row_number().over(partition_by=oldest.c.tenant_id, order_by=(oldest.c.since, oldest.c.id))
    held = [(oldest.c.tenant_id == tenant, count) for tenant, count in Counter(busy.values()).items()]
    turn = place + (case(*held, else_=0) if held else 0)
    columns = (oldest.c.id, oldest.c.webhook_id, oldest.c.tenant_id)
    found = session.execute(select(*columns).order_by(turn, oldest.c.since, oldest.c.id).limit(limit))
    return [Waiting(*row) for row in found]


def take(session: Session, message_id: str, hold_seconds: float, sealer: Sealer | None = None) -> Due | None:
    """Take a due message for one try; None when another has it. `sealer`: opens the webhook's secret."""
    free = (Delivery.id == message_id, Delivery.status == "pending", Delivery.next_at <= db_now())
    taken = update(Delivery).where(*free).values(tries=Delivery.tries + 1, next_at=db_now(hold_seconds))
    row = session.execute(
        taken.returning(Delivery.webhook_id, Delivery.payload, Delivery.tries, Delivery.next_at),
        execution_options=_NO_SYNC,
    ).first()
    hook = None if row is None else session.get(Webhook, row.webhook_id)
    if row is None or hook is None:
        return None
    try:
        secret: str | SealBroken = webhook_secrets.of(hook, sealer)
    except SealBroken as error:
        secret = error
    return Due(message_id, hook.id, hook.tenant_id, hook.url, secret, row.payload, row.tries, row.next_at)


def note(session: Session, taken: Due, status: str, result: dict[str, Any], wait_seconds: float = 0.0) -> bool:
    """Write how the try went; `pending`: the next one in `wait_seconds`. False when the message is not this try's any
    more (it took too long, or was sent again by hand)."""
    row = session.scalar(select(Delivery).where(Delivery.id == taken.id).with_for_update())
    if row is None or row.status != "pending" or (row.tries, row.next_at) != (taken.tries, taken.until):
        return False
    earlier = list(row.log.get("tries", []))
    row.log = {"tries": [*earlier, result][-KEPT_TRIES:]}
    row.status = status
    if status == "pending":
        row.next_at = db_now(wait_seconds)
    else:
        row.finished_at = db_now()
    session.flush()
    tallies.add(session, tallies.TRIES, "delivered" if status == "delivered" else "failed")
    return True


def send_again(session: Session, row: Delivery) -> None:
    """Due now, with all its tries, under the same id. Every column is written, whatever `row` was when it was read: a
    try that ends in between must not leave half of either. Raises `Gone`."""
    again = update(Delivery).where(Delivery.id == row.id)
    values = {"status": "pending", "tries": 0, "finished_at": None, "next_at": db_now()}
    if not session.execute(again.values(**values), execution_options=_NO_SYNC).rowcount:  # type: ignore[attr-defined]
        raise Gone(row.id)
    session.refresh(row)


def give_up(session: Session, webhook_id: str) -> None:
    """Nothing that waits for the webhook is tried again by itself."""
    waiting = update(Delivery).where(Delivery.webhook_id == webhook_id, Delivery.status == "pending")
    session.execute(waiting.values(status="failed", finished_at=db_now()), execution_options=_NO_SYNC)


def get(session: Session, webhook_id: str, message_id: str) -> Delivery | None:
    row = session.get(Delivery, message_id)
    return row if row is not None and row.webhook_id == webhook_id else None


def page(session: Session, webhook_id: str, before: str | None, limit: int) -> tuple[list[Delivery], bool]:
    """A webhook's messages, newest first, and whether more follow."""
    return newest_first(session, select(Delivery).where(Delivery.webhook_id == webhook_id), Delivery.id, before, limit)


def forget(session: Session, older_seconds: float) -> int:
    """Remove messages that ended so long ago; how many."""
    old = delete(Delivery).where(Delivery.status != "pending", Delivery.created_at < db_now(-older_seconds))
    return int(session.execute(old, execution_options=_NO_SYNC).rowcount)  # type: ignore[attr-defined]
