"""Waiting in tests: for what must happen soon, however slow this machine is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TypeVar

import psutil

from tests.slowness import within

T = TypeVar("T")
PAUSE_SECONDS = 0.02
WORKING_SHARE = 0.02  # of one core: processes that wait for each other use less
LOOK_SECONDS, QUIET_SECONDS = 0.5, 120.0


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


def while_working(
    found: Callable[[], T],
    who: Callable[[], Iterable[psutil.Process]],
    instead: Callable[[], object] = lambda: "",
    quiet_seconds: float = QUIET_SECONDS,
) -> T:
    """What `found` gives once it is true, however long the processes `who` work for it. Fails once they have done
    nothing for `quiet_seconds`: none was ready to run, and together they used less than 2 % of a core.

    For work of minutes: how slow the machine is now was not known when the tests began.
    """
    quiet, used = 0.0, 0.0
    while not (result := found()):
        assert quiet < quiet_seconds, f"nothing was done for {quiet:.0f} s: {instead()}"
        begun = time.monotonic()
        time.sleep(LOOK_SECONDS)
        ready, seconds = _signs(who())
        elapsed = time.monotonic() - begun
        worked = ready or seconds - used >= WORKING_SHARE * elapsed
        quiet, used = 0.0 if worked else quiet + min(elapsed, 2 * LOOK_SECONDS), seconds
    return result


def _signs(processes: Iterable[psutil.Process]) -> tuple[bool, float]:
    """Whether one is ready to run or waits for a disk, and the processor time of all."""
    ready, seconds = False, 0.0
    for process in processes:
        with suppress(psutil.Error):
            ready |= process.status() in (psutil.STATUS_RUNNING, psutil.STATUS_DISK_SLEEP)
            times = process.cpu_times()
            seconds += times.user + times.system
    return ready, seconds
