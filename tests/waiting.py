"""Waiting in tests: for what must happen soon, however slow this machine is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from tests.slowness import within

T = TypeVar("T")
PAUSE_SECONDS = 0.02


def until(
    found: Callable[[], T],
    seconds: float = 30,
    instead: Callable[[], object] = lambda: "",
    pause: float = PAUSE_SECONDS,
) -> T:
    """What `found` gives once it is true. Fails after `seconds` of the reference machine, naming what is there instead.

    A look counts for at most a second: a machine that stood still has not used the time up.
    """
    left = within(seconds)
    while not (result := found()):
        assert left > 0, f"it did not happen in {within(seconds):g} s: {instead()}"
        begun = time.monotonic()
        time.sleep(pause)
        left -= min(time.monotonic() - begun, 1.0)
    return result
