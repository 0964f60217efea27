"""Memory of a trainer while it runs: sampled, because the kernel tells the peak only at the end."""

from __future__ import annotations

import time

import psutil

from worker.watching.memory_kills import MemoryKills

SAMPLE_SECONDS = 2.0
NOTE_SHARE = 1.02  # smaller growth is not worth a write


class MemoryGauge:
    """The largest sum of resident bytes of a process and all below it. Pages that they share count in each. `kills`:
    what the kernel ended for memory where it runs."""

    def __init__(self, pid: int) -> None:
        self._pid, self._next = pid, 0.0
        self.peak_bytes, self._noted = 0, 0
        self.kills = MemoryKills(pid)

    def sample(self) -> bool:
        """Look, if it is time. True when the peak has grown since `noted` by more than noise."""
        if time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + SAMPLE_SECONDS
        self.peak_bytes = max(self.peak_bytes, _resident_bytes(self._pid))
        self.kills.sample()
        return self.peak_bytes > self._noted * NOTE_SHARE

    def told(self, peak_bytes: int) -> None:
        """What is used on another machine."""
        self.peak_bytes = max(self.peak_bytes, peak_bytes)

    def noted(self) -> None:
        self._noted = self.peak_bytes


def _resident_bytes(pid: int) -> int:
    """0 when it has gone."""
    try:
        parent = psutil.Process(pid)
        return sum(_rss(process) for process in (parent, *parent.children(recursive=True)))
    except psutil.Error:
        return 0


def _rss(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
