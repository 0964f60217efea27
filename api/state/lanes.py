"""A bulkhead for each thing that the API waits for: so many calls at once and no more, so that one that never answers
holds up its own callers and nobody else's.

Who finds a lane full waits in the event loop, without a thread, as long as calls end. When none has ended for
`stalled_seconds`, the thing behind the lane is taken to be stalled, and whoever waits is refused with a 503. So a slow
machine makes callers wait, and only a silent server has them refused.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, fields
from typing import Final, ParamSpec, TypeVar

from starlette.concurrency import run_in_threadpool

from api.errors.problems import Unavailable
from store.database import AWAY
from store.objects import StorageUnavailable

P = ParamSpec("P")
T = TypeVar("T")
STALLED_SECONDS = 10.0  # as long as a database may take for one answer: a machine may be that slow
MOST_WAITING = 1000
RETRY_SECONDS = "5"
#: Threads for work that waits for nobody else: parts of bodies to disk, files of the dashboard, sums.
SPARE_THREADS = 32
#: What a call raises when the thing behind its lane did not answer.
SILENT: Final = (*AWAY, StorageUnavailable, Unavailable)
#: Names of the lanes in which the request at hand has a place.
HELD: ContextVar[frozenset[str]] = ContextVar("lanes", default=frozenset())


class Lane:
    """`places` calls at once, of an event loop's tasks. `name`: of what they wait for; `code`: of the refusal."""

    def __init__(self, name: str, places: int, code: str, stalled_seconds: float | None = None) -> None:
        self.name, self.places, self._code = name, places, code
        self._stalled_seconds = stalled_seconds or STALLED_SECONDS
        self._free = places
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._moved = 0.0  # when a call last ended with an answer, or the lane became full

    @asynccontextmanager
    async def place(self, stalled_seconds: float | None = None) -> AsyncIterator[None]:
        """One of the places for the time of the block; a request that has one needs no second. Raises `Unavailable`."""
        held = HELD.get()
        if self.name in held:
            yield
            return
        await self._enter(stalled_seconds or self._stalled_seconds)
        HELD.set(held | {self.name})
        try:
            yield
        except SILENT:
            raise
        except BaseException:
            self._moved = time.monotonic()
            raise
        else:
            self._moved = time.monotonic()
        finally:
            HELD.set(held)
            self._leave()

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`call` in a thread, with a place."""
        async with self.place():
            return await run_in_threadpool(call, *args, **kwargs)

    async def each(self, chunks: Iterator[bytes], stalled_seconds: float) -> AsyncIterator[bytes]:
        """The chunks of an iterator that reads from this dependency. A place in the lane is held while a chunk is read,
        not while the client takes it. An answer that has begun can no longer be refused, so it waits longer for a
        place: `stalled_seconds`."""
        while True:
            async with self.place(stalled_seconds):
                chunk = await run_in_threadpool(next, chunks, None)
            if chunk is None:
                return
            yield chunk

    async def _enter(self, stalled_seconds: float) -> None:
        if self._free:
            self._free -= 1
            if not self._free:
                self._moved = time.monotonic()
            return
        if len(self._waiting) >= MOST_WAITING:
            raise self._refusal()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            while not turn.done():
                left = self._moved + stalled_seconds - time.monotonic()
                if left <= 0:
                    raise self._refusal()
                await asyncio.wait([turn], timeout=left)
        except BaseException:
            if turn.done():  # and nobody is there any more to use it
                self._leave()
            else:
                self._waiting.remove(turn)
            raise

    def _leave(self) -> None:
        """Hand the place to who has waited longest."""
        if self._waiting:
            self._waiting.popleft().set_result(None)
        else:
            self._free += 1

    def _refusal(self) -> Unavailable:
        detail = f"The {self.name} has not answered for a while, and {self.places} requests wait for it already."
        remedy = "Try again as soon as Retry-After says; GET /readyz tells when it is back."
        return Unavailable(detail, remedy, code=self._code, headers={"Retry-After": RETRY_SECONDS})


def _database(name: str, places: int) -> Callable[[], Lane]:
    return lambda: Lane(name, places, "database_unavailable")


@dataclass(frozen=True)
class Lanes:
    """The lanes of one process. Together they have fewer places than there are threads, so no lane's callers ever wait
    for a thread. Reads and writes are apart because a lock that somebody holds stops writes alone, and keys because
    every request needs one. Pages of lists are apart because they compute: 200 jobs take 60 ms of Python, which only
    one thread runs at a time, and the event loop gets a turn after as many threads as compute."""

    keys: Lane = field(default_factory=_database("database (keys)", 4))
    reading: Lane = field(default_factory=_database("database", 12))
    listing: Lane = field(default_factory=_database("database (lists)", 2))
    writing: Lane = field(default_factory=_database("database (writes)", 8))
    #: What may wait for the object store, and for the database before and after it.
    storing: Lane = field(default_factory=lambda: Lane("object store", 12, "storage_unavailable"))
    resolving: Lane = field(default_factory=lambda: Lane("resolver of names", 4, "resolver_unavailable"))

    @property
    def threads(self) -> int:
        """How many threads the process needs."""
        lanes: list[Lane] = [getattr(self, each.name) for each in fields(self)]
        return sum(lane.places for lane in lanes) + SPARE_THREADS
