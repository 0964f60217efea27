"""Find and end every process that a run has left, wherever it went: by session, by a mark in its environment, and by
its user where the run has one of its own."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress

import psutil

MARK = "RETORT_RUN"


def survivors(mark: str, session: int | None = None, user: int | None = None) -> list[int]:
    """Living processes that carry `mark` in their environment (inherited by whatever they start) or belong to
    `session` or to `user`. Zombies are dead; the environment of another user's process shows to root alone."""
    return [process.pid for process in psutil.process_iter() if _belongs(process, mark, session, user)]


def descendants(pid: int) -> list[psutil.Process]:
    """The process's children, their children and so on, also those that left its session or cleared their environment.
    Only while it lives: after that the kernel gives its children another parent."""
    with suppress(psutil.Error):
        return psutil.Process(pid).children(recursive=True)
    return []


def kill_all(
    mark: str,
    session: int | None = None,
    seconds: float = 10.0,
    known: Sequence[psutil.Process] = (),
    user: int | None = None,
) -> list[int]:
    """SIGKILL until none is left, nor any of `known`, and return those that would not die in `seconds` (in
    uninterruptible sleep)."""
    deadline = time.monotonic() + seconds
    while left := {*survivors(mark, session, user), *(process.pid for process in known if _lives(process))}:
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            return sorted(left)
        time.sleep(0.02)
    return []


def _lives(process: psutil.Process) -> bool:
    """Still the same process: its number may be another's by now."""
    with suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _belongs(process: psutil.Process, mark: str, session: int | None, user: int | None) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        if user is not None and user in process.uids():
            return True
        return (session is not None and os.getsid(process.pid) == session) or process.environ().get(MARK) == mark
    except (psutil.Error, OSError):
        return False
