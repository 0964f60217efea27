"""Whether database, object store and doorbell answer, asked without blocking requests."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future

from sqlalchemy import select

from store.database import Database
from store.doorbell import CeleryDoorbell, Doorbell
from store.objects import ObjectStore
from store.tables import Tenant

log = logging.getLogger(__name__)
ANSWER_SECONDS = 3.0


class Readiness:
    """Asks database, object store and doorbell at once, each in a thread of its own. One that does not answer in time
    is not ready. It is not asked again until the open question ends, so that questions do not pile up."""

    def __init__(self, database: Database, objects: ObjectStore, doorbell: Doorbell) -> None:
        self._questions: dict[str, Callable[[], None]] = {
            "database": lambda: _schema(database),
            "objects": objects.ping,
            "doorbell": lambda: _bell(doorbell),
        }
        self._open: dict[str, Future[str]] = {}

    async def states(self) -> dict[str, str]:
        """By name: `ok`, or what is wrong. That is named by its kind only: the answer is public."""
        asked = {name: asyncio.wrap_future(self._asked(name)) for name in self._questions}
        await asyncio.wait(asked.values(), timeout=ANSWER_SECONDS)
        silent = f"no answer within {ANSWER_SECONDS:g} s"
        return {name: answer.result() if answer.done() else silent for name, answer in asked.items()}

    def _asked(self, name: str) -> Future[str]:
        known = self._open.get(name)
        if known is not None and not known.done():
            return known
        future = self._open[name] = Future()
        threading.Thread(target=_ask, args=(future, self._questions[name]), name=f"ready-{name}", daemon=True).start()
        return future


def _ask(future: Future[str], question: Callable[[], None]) -> None:
    future.set_running_or_notify_cancel()  # from here on nobody who waits for it can cancel it
    try:
        question()
    except Exception as error:  # whatever it is, the part cannot be used
        log.warning("not ready: %s", error)
        future.set_result(f"not reachable ({type(error).__name__})")
    else:
        future.set_result("ok")


def _schema(database: Database) -> None:
    """The database answers and has our tables."""
    with database.read() as session:
        session.execute(select(Tenant.id).limit(1))


def _bell(doorbell: Doorbell) -> None:
    if isinstance(doorbell, CeleryDoorbell):
        with doorbell.app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=2)
