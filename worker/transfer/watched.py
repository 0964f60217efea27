"""A blocking call in a thread of its own, while the caller keeps renewing its lease and checking its time limit."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

T = TypeVar("T")
TICK_SECONDS = 0.1


def _nothing() -> None:
    pass


def watched(work: Callable[[], T], check: Callable[[], None], abandon: Callable[[], None] = _nothing) -> T:
    """`work()` in a thread of its own, with `check()` every `TICK_SECONDS` in this one.

    Raises what `work` raises. An error of `check` is raised at once: `abandon` is called, to break the connection or
    lock that `work` waits for, and the thread is left to end by itself, its result unread.
    """
    future: Future[T] = Future()
    threading.Thread(target=_run, args=(future, work), name="watched", daemon=True).start()
    try:
        check()
        while not wait([future], TICK_SECONDS).done:
            check()
    except BaseException:
        abandon()
        raise
    return future.result()


def _run(future: Future[T], work: Callable[[], T]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:
        future.set_exception(error)
