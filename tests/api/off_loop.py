"""Parts of a service that refuse to be used inside its event loop: a call that blocks there stops every request."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy import event

from store.database import Database
from store.doorbell import InProcessDoorbell, Noun
from store.objects import FolderStore

BLOCKING = {"put", "read", "size", "delete", "keys", "presigned", "parts", "ping"}


def off_loop(what: str) -> None:
    """Raise where an event loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise AssertionError(f"{what} blocks the event loop")


def watched(database: Database) -> Database:
    """The same one; taking a connection in an event loop is an error."""
    event.listen(database.engine, "checkout", lambda *_: off_loop("the database"))
    return database


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
        return super().__getattribute__(name)
