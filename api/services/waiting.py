"""Waiting without holding a thread or a connection: short looks at the database, and sleep in between."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

from api.state.lanes import Lane

T = TypeVar("T")
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 0.5


async def changed(
    lane: Lane, look: Callable[[], T], seconds: float, known: Callable[[T], bool], course: Callable[[T], object]
) -> T:
    """What `look` gives; where that is `known` already, what it gives once its `course` is another, or after so many
    `seconds`."""
    value = await lane.run(look)
    if seconds and known(value):
        before = course(value)
        value = await until(lane, look, lambda now: course(now) != before, seconds)
    return value


async def until(lane: Lane, look: Callable[[], T], done: Callable[[T], bool], seconds: float) -> T:
    """Call `look` (with a place in the lane) until `done` says yes to its value or the time is over; the last value."""
    deadline, pause = time.monotonic() + seconds, FIRST_PAUSE_SECONDS
    while True:
        value = await lane.run(look)
        left = deadline - time.monotonic()
        if done(value) or left <= 0:
            return value
        await asyncio.sleep(min(pause, left))
        pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)
