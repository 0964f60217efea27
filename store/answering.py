"""PostgreSQL connections on which no answer is awaited for ever."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg

T = TypeVar("T")


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that is closed when one answer takes longer than `answer_seconds`.

    libpq has limits for connecting and for bytes that nobody acknowledges, but none for a server (or a proxy before
    it) that acknowledges every byte and never answers. Such a connection is of no more use: what its server still
    does is not known.
    """

    answer_seconds: float

    def wait(self, gen: Generator[Any, Any, T], *arguments: Any, **named: Any) -> T:
        """psycopg's own wait. Raises `OperationalError` when the time is over."""
        return super().wait(self._in_time(gen), *arguments, **named)

    def _in_time(self, gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        """`gen`, which gets 0 (nothing is ready) every tenth of a second while it waits for the socket."""
        deadline = time.monotonic() + self.answer_seconds
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() > deadline:
                    self.close()
                    raise psycopg.OperationalError(f"no answer of the server within {self.answer_seconds:g} s")
                wanted = gen.send(ready)
        except StopIteration as ended:
            value: T = ended.value
            return value


def connection_class(answer_seconds: float) -> type[BoundedConnection]:
    """The class of connections with this limit."""
    return type("BoundedConnection", (BoundedConnection,), {"answer_seconds": answer_seconds})
