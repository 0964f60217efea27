"""When a child process is given up: after so long without a sign of life, not after so long on the clock.

A slow or busy machine needs any time for what is done in seconds elsewhere. docs/operations.md lists every wait.
"""

from __future__ import annotations

import time
from contextlib import suppress

import psutil

from worker.watching.survivors import descendants

SAMPLE_SECONDS = 1.0
WORKING_SHARE = 0.05  # of one core between two samples
READY = frozenset({psutil.STATUS_RUNNING, psutil.STATUS_DISK_SLEEP})


class Patience:
    """Adds up the seconds in which the process and all that it has started do nothing.

    A second counts when they take less than 5 % of one core and none of them is ready to run or waits for a disk. So
    waiting for a processor that others hold costs nothing, while a process that only wakes now and then is seen
    through: with a limit of its processor time there is an end for whatever it does. A sample counts for at most two
    seconds, so that a machine that slept has cost nobody his patience. `cpu_seconds`: used by all of them so far.
    """

    def __init__(self, pid: int, seconds: float) -> None:
        self.pid, self.seconds, self.idle_seconds, self.cpu_seconds = pid, seconds, 0.0, 0.0
        self._sampled = time.monotonic()

    def left(self) -> float:
        """Seconds in which it may still do nothing; looks at the process at most once a second."""
        elapsed = time.monotonic() - self._sampled
        if elapsed >= min(SAMPLE_SECONDS, self.seconds):
            self._sampled += elapsed
            if not self._works(elapsed):
                self.idle_seconds += min(elapsed, 2 * SAMPLE_SECONDS)
        return self.seconds - self.idle_seconds

    def rest(self) -> None:
        """The time since the last look counts for nothing: the process waits for us."""
        self._sampled = time.monotonic()

    def _works(self, elapsed: float) -> bool:
        before, ready, used = self.cpu_seconds, False, 0.0
        for process in (psutil.Process(self.pid), *descendants(self.pid)):
            with suppress(psutil.Error):
                ready |= process.status() in READY
                used += sum(process.cpu_times()[:4])  # its own and its ended children's, in user and system mode
        self.cpu_seconds = max(before, used)
        return ready or self.cpu_seconds - before >= WORKING_SHARE * elapsed
