"""Empties the outbox: any number of workers may, the database gives each message to one at a time."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx
from sqlalchemy.orm import Session

from store.database import AWAY, Database
from store.repositories import outbox, webhooks
from store.repositories.outbox import Due
from store.settings import Settings
from worker.webhooks.sending import Try, send

log = logging.getLogger(__name__)
POLL_SECONDS, AWAY_SECONDS = 1.0, 2.0
SIDE_BY_SIDE, MOST_OF_ONE = 16, 12  # tries at once, and of one tenant: the rest is free when another has a message
RESOLVERS = 4 * SIDE_BY_SIDE  # a lookup of a silent server of names may outlive four tries
HOLD_SECONDS = 30.0  # beyond a try's own limit: then whoever held the message is dead
GROWTH, LONGEST_SECONDS, JITTER = 3.0, 6 * 3600.0, 0.2


class Deliverer:
    """`run` is a thread's work until `leaving` is set; what is on its way then is tried again by another."""

    def __init__(self, settings: Settings, database: Database, leaving: threading.Event) -> None:
        self._settings, self._database, self._leaving = settings, database, leaving
        self._flying: dict[str, asyncio.Task[None]] = {}  # webhook -> the one try that goes on for it
        self._tenants: dict[str, str] = {}  # of those webhooks
        self._resolvers = ThreadPoolExecutor(RESOLVERS, "resolver")  # apart from the threads that use the database

    def run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._trust = httpx.create_ssl_context()  # once: reading the authorities takes 20 ms
        while not self._leaving.is_set():
            try:
                await self._round()
            except AWAY as error:
                log.warning("no webhooks, the database is away (%s)", str(error).partition("\n")[0])
                await asyncio.sleep(AWAY_SECONDS)
            except Exception:
                log.exception("webhooks: unexpected; going on")
                await asyncio.sleep(AWAY_SECONDS)
        for task in self._flying.values():
            task.cancel()
        await asyncio.gather(*self._flying.values(), return_exceptions=True)
        self._resolvers.shutdown(wait=False, cancel_futures=True)

    async def _round(self) -> None:
        """Start what is due, then wait for the first to end or for the next look."""
        for taken in await asyncio.to_thread(self._take_due):
            task = asyncio.create_task(self._deliver(taken))
            self._flying[taken.webhook_id], self._tenants[taken.webhook_id] = task, taken.tenant_id
            task.add_done_callback(partial(self._landed, taken.webhook_id))
        if self._flying:
            await asyncio.wait(self._flying.values(), timeout=POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        else:
            await asyncio.sleep(POLL_SECONDS)

    def _landed(self, webhook_id: str, _task: object) -> None:
        self._flying.pop(webhook_id, None)
        self._tenants.pop(webhook_id, None)

    def _take_due(self) -> list[Due]:
        busy = dict(self._tenants)
        room = SIDE_BY_SIDE - len(busy)
        if room <= 0:
            return []
        with self._database.read() as session:
            waiting = outbox.due(session, SIDE_BY_SIDE * 2, busy)
        hold = self._settings.webhook_timeout_seconds + HOLD_SECONDS
        shares, taken = Counter(busy.values()), list[Due]()
        for message in waiting:
            if len(taken) < room and shares[message.tenant_id] < MOST_OF_ONE:
                with self._database.write() as session:
                    due = outbox.take(session, message.id, hold, self._settings.sealer)
                taken += [due] if due else []
                shares[message.tenant_id] += bool(due)
        return taken

    async def _deliver(self, due: Due) -> None:
        done, entry = await send(self._settings, due, self._trust, self._resolvers)
        try:
            await asyncio.to_thread(self._note, due, done, entry)
        except AWAY as error:  # it is due again when the hold is over: twice, not never
            log.warning("%s: how it went could not be noted (%s)", due.id, str(error).partition("\n")[0])

    def _note(self, due: Due, done: Try, entry: dict[str, Any]) -> None:
        with self._database.write() as session:
            disabled = note(session, self._settings, due, done, entry)
        if disabled:
            log.warning("%s is disabled: %s", due.webhook_id, disabled)
        if disabled is not None and not done.delivered:
            log.info("%s to %s failed: %s", due.id, due.webhook_id, done.error or done.status_code)


def note(session: Session, settings: Settings, due: Due, done: Try, entry: dict[str, Any]) -> str | None:
    """Write how a try went, and disable a webhook that is hopeless; why it is that, or "" (None: the try counts for
    nothing any more).

    Under the lock of the webhook's row: what its owner enables meanwhile has failed for no time at all.
    """
    last = due.tries >= settings.webhook_tries or done.gone
    status = "delivered" if done.delivered else "failed" if last else "pending"
    wait = max(wait_seconds(settings.webhook_retry_seconds, due.tries), done.retry_after)
    webhooks.lock(session, due.webhook_id)
    if not outbox.note(session, due, status, entry, min(wait, LONGEST_SECONDS)):
        return None
    if done.delivered:
        webhooks.succeeded(session, due.webhook_id)
        return ""
    reason = _hopeless(settings, done, webhooks.failed(session, due.webhook_id))
    if reason:
        webhooks.disable(session, due.webhook_id, reason)
    return reason


def _hopeless(settings: Settings, done: Try, failing_seconds: float) -> str:
    if done.gone:
        return "it answered 410 Gone"
    if failing_seconds > settings.webhook_disable_seconds:
        return f"nothing was delivered for {failing_seconds / 86400:.1f} days"
    return ""


def wait_seconds(first_seconds: float, tries: int) -> float:
    """min(first * 3^(tries - 1), 6 h), made up to 20 % shorter or longer so that failures do not come back at once.
    With 5 s and 12 tries a message is given up after about a day."""
    plain = min(first_seconds * GROWTH ** (tries - 1), LONGEST_SECONDS)
    return plain * random.uniform(1 - JITTER, 1 + JITTER)
