"""Find and end every process that a run has left, wherever it went: by session, and by a mark in its environment."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

import psutil

MARK = "RETORT_RUN"


def survivors(mark: str, session: int | None = None) -> list[int]:
    """Living processes that carry `mark` in their environment (inherited by whatever they start) or belong to
    `session`. Zombies are dead; a process of another user is not ours."""
    return [process.pid for process in psutil.process_iter() if _belongs(process, mark, session)]


def kill_all(mark: str, session: int | None = None, seconds: float = 10.0) -> list[int]:
    """SIGKILL until none is left, and return those that would not die in `seconds` (in uninterruptible sleep)."""
    deadline = time.monotonic() + seconds
    while left := survivors(mark, session):
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            return left
        time.sleep(0.02)
    return []


def _belongs(process: psutil.Process, mark: str, session: int | None) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return (session is not None and os.getsid(process.pid) == session) or process.environ().get(MARK) == mark
    except (psutil.Error, OSError):
        return False
