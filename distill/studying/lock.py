"""One process a study folder: two that ran the same cells would tear each other's checkpoints."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distill.errors import InvalidConfig


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold the folder, which is made where it is not there; the system lets go of it when the process dies. The file
    `study.lock` stays. Raises `InvalidConfig` when another process holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "study.lock").open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            why = f"Another process is at work on the study in {folder}."
            raise InvalidConfig(why, "Wait until it has ended, or give another --output.") from error
        yield
