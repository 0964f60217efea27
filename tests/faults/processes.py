"""Which processes run, found without the product's own means: by what the kernel says of every one of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Trainer:
    """A trainer is the leader of its own session and process group."""

    pid: int
    attempt: int
    folder: Path

    def gone(self) -> bool:
        """Nothing of its session or group is alive."""
        return not any(self.pid in (session, group) for session, group in _sessions())


def trainer_of(site: Path, job_id: str) -> Trainer | None:
    """The process whose last argument is an attempt's folder of this job, below `site`."""
    for process in psutil.process_iter():
        try:
            last = Path((process.cmdline() or [""])[-1])
        except psutil.Error:
            continue
        if last.parent.name == job_id and site in last.parents and process.status() != psutil.STATUS_ZOMBIE:
            return Trainer(process.pid, int(last.name), last)
    return None


def naming(word: str) -> list[psutil.Process]:
    """Living processes that have `word` in their arguments or environment, whoever their parents are."""
    return [process for process in psutil.process_iter() if process.pid != os.getpid() and _names(process, word)]


def _names(process: psutil.Process, word: str) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        told = [*process.cmdline(), *process.environ().values()]
    except (psutil.Error, OSError):
        return False
    return any(word in text for text in told)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _sessions() -> Iterator[tuple[int, int]]:
    """Session and group of every living process."""
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE:
                yield os.getsid(process.pid), os.getpgid(process.pid)
        except (psutil.Error, OSError):
            continue
