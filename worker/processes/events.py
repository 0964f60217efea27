"""A trainer's events between the thread that reads its pipe and the worker that takes them, bounded in bytes.

Where the bound is reached the reader waits, the pipe fills, and the trainer waits in its next write: one that floods
its worker holds up itself alone.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque

from distill.types import Event

MOST_BYTES = 1 << 24
"""As lines of the pipe; one line more may be on its way. Parsed, an event takes some times more."""


class Events:
    """In order, each once; `get` gives None, again and again, once the far end is closed and all are taken."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._bytes, self._lifted, self._closed = most_bytes, 0, False, False
        self._waiting: deque[tuple[Event, int]] = deque()
        self._changed = threading.Condition()

    @property
    def bytes(self) -> int:
        """Of the events that wait."""
        return self._bytes

    def put(self, event: Event, size: int) -> None:
        """Waits while as much as may wait is there, unless the bound is lifted."""
        with self._changed:
            self._changed.wait_for(lambda: self._lifted or self._bytes < self._most)
            self._waiting.append((event, size))
            self._bytes += size
            self._changed.notify_all()

    def close(self) -> None:
        """No more will come."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def lift(self) -> None:
        """Take in all that is left in the pipe of a process that has ended: at most what a pipe holds."""
        with self._changed:
            self._lifted = True
            self._changed.notify_all()

    def get(self, timeout: float = 0) -> tuple[Event, int] | None:
        """The next event and the bytes of its line; raises `queue.Empty` after `timeout` seconds without one."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while not self._waiting:
                if self._closed:
                    return None
                left = deadline - time.monotonic()
                if left <= 0:
                    raise queue.Empty
                self._changed.wait(left)
            event, size = self._waiting.popleft()
            self._bytes -= size
            self._changed.notify_all()
            return event, size
