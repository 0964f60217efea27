"""Waiting for a process of our own as long as it lives: a slow or busy machine takes any time (docs/operations.md)."""

from __future__ import annotations

import math
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

LOOK_SECONDS, SAMPLE_SECONDS, SAY_SECONDS = 0.05, 1.0, 10.0
WORKING_SHARE = 0.02  # of one core between two samples: an idle service that is asked twenty times a second uses less
TAIL_LINES = 15
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class Life:
    """Signs of life of a process, of all that it has started, and of its log.

    `quiet_seconds`: for how long there was none. A sample counts for at most twice its distance, so that a machine
    that slept has not made anybody quiet. `cpu_seconds`: of the process and its descendants; 0 without /proc.
    """

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process, self.log = process, log
        self.quiet_seconds = self.cpu_seconds = 0.0
        self._size, self._sampled = _size(log), time.monotonic()

    def ended(self) -> bool:
        return self.process.poll() is not None

    def sample(self) -> None:
        """Look for a sign of life, at most once a second."""
        elapsed = time.monotonic() - self._sampled
        if elapsed < SAMPLE_SECONDS:
            return
        self._sampled += elapsed
        quiet = not self._moved(elapsed)
        self.quiet_seconds = self.quiet_seconds + min(elapsed, 2 * SAMPLE_SECONDS) if quiet else 0.0

    def _moved(self, elapsed: float) -> bool:
        """The log grew, processor time passed, or somebody is ready to run or waits for a disk."""
        before_cpu, before_size = self.cpu_seconds, self._size
        rows, self._size = list(_family(self.process.pid)), _size(self.log)
        self.cpu_seconds = max(before_cpu, sum(ticks for _, ticks in rows) / TICKS)
        worked = self.cpu_seconds - before_cpu >= WORKING_SHARE * elapsed
        return not rows or worked or self._size != before_size or any(state in "RD" for state, _ in rows)

    def tail(self, lines: int = TAIL_LINES) -> str:
        """The log's last lines; says so when it is empty."""
        with suppress(OSError):
            if found := self.log.read_text(errors="replace").rstrip().splitlines()[-lines:]:
                return "\n".join(found)
        return "(it wrote nothing)"


def until(
    life: Life, happened: Callable[[], bool], what: str, say: Callable[[str], None], quiet_seconds: float = math.inf
) -> bool:
    """Whether `happened` became true; False when the process ended first, or did nothing for `quiet_seconds`.

    No time on the clock ends it. Every 10 s `say` gets a line: what is waited for, and whether the process works.
    """
    begun = said = time.monotonic()
    life.quiet_seconds = 0.0
    while not happened():
        if life.ended() or life.quiet_seconds >= quiet_seconds:
            return happened()
        time.sleep(LOOK_SECONDS)
        life.sample()
        now = time.monotonic()
        if now - said >= SAY_SECONDS:
            said = now
            say(f"Waiting for {what}, {now - begun:.0f} s: {_state(life)}")
    return True


def _state(life: Life) -> str:
    pid, quiet = life.process.pid, life.quiet_seconds
    if quiet >= SAY_SECONDS:
        return f"its process {pid} lives, but has done nothing for {quiet:.0f} s (Ctrl-C gives up)"
    return f"its process {pid} works ({life.cpu_seconds:.0f} s of processor time so far)"


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0


def _family(pid: int) -> Iterator[tuple[str, int]]:
    """State and processor ticks of the process and its descendants, ended children included. None without /proc."""
    rows: dict[int, tuple[str, int]] = {}
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            rows[int(folder.name)] = fields[0], sum(map(int, fields[11:15]))
            children.setdefault(int(fields[1]), []).append(int(folder.name))
    waiting = [pid]
    while waiting:
        found = waiting.pop()
        waiting += children.get(found, [])
        if found in rows:
            yield rows[found]
