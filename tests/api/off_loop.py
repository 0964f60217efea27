"""Parts of a service that refuse to be used where that would stop others: inside its event loop, where a call that
blocks stops every request; by a request without a place in the lane of what it waits for; and, of the store, by a
request that holds a transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from sqlalchemy import event
from starlette.types import ASGIApp, Receive, Scope, Send

from api.state.lanes import HELD, Lanes
from store.database import Database
from store.doorbell import InProcessDoorbell, Noun
from store.objects import FolderStore

SERVING: ContextVar[object] = ContextVar("serving", default=None)
_connected: dict[object, object] = {}  # connections that are in use, by request
LANES = Lanes()
DATABASE_LANES = [lane.name for lane in (LANES.keys, LANES.reading, LANES.listing, LANES.writing, LANES.storing)]
BLOCKING = {"put", "read", "size", "delete", "keys", "presigned", "parts", "ping"}


def off_loop(what: str) -> None:
    """Raise where an event loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise AssertionError(f"{what} blocks the event loop")


def in_lane(what: str, *lanes: str) -> None:
    """Raise in a request that has a place in none of these."""
    held = HELD.get()
    if SERVING.get() is not None and held.isdisjoint(lanes):
        raise AssertionError(f"a request uses {what} without a place among those that wait for it, only in {set(held)}")


def watched(database: Database) -> Database:
    """The same one; taking a connection in an event loop is an error, and so it is in a request outside the lanes."""

    def check(_connection: object, record: object, _proxy: object) -> None:
        off_loop("the database")
        in_lane("the database", *DATABASE_LANES)
        _connected[record] = SERVING.get()

    event.listen(database.engine, "checkout", check)
    event.listen(database.engine, "checkin", lambda _connection, record: _connected.pop(record, None))
    return database


def no_transaction(what: str) -> None:
    """Raise in a request that holds a connection of the database."""
    request = SERVING.get()
    if request is not None and request in list(_connected.values()):
        raise AssertionError(f"{what} is waited for within a transaction: who waits for its rows waits too")


@contextmanager
def serving() -> Iterator[None]:
    """The block is a request of the service."""
    token = SERVING.set(object())
    try:
        yield
    finally:
        SERVING.reset(token)


class Serving:
    """Middleware: whatever runs for a request is marked as such."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        with serving():
            await self.app(scope, receive, send)


class OffLoopDoorbell(InProcessDoorbell):
    """Redis may be silent for seconds."""

    def ring(self, noun: Noun, resource_id: str) -> None:
        off_loop("the doorbell")
        super().ring(noun, resource_id)


class OffLoopStore(FolderStore):
    """An S3 server may be, too."""

    def __getattribute__(self, name: str) -> Any:
        if name in BLOCKING:
            off_loop(f"the object store's {name}")
            in_lane(f"the object store's {name}", Lanes().storing.name)
            no_transaction(f"the object store's {name}")
        return super().__getattribute__(name)
