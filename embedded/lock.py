"""One service a data folder: two would sweep each other's scratch and share one SQLite queue by accident."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILE = "serve.lock"


class AlreadyRunning(Exception):
    """Another `retort serve` uses this data folder."""

    def __init__(self, folder: Path, who: str) -> None:
        super().__init__(
            f"Another `retort serve` uses {folder} ({who or 'it does not say where'}). "
            "Stop it, or give this one a folder of its own with --data-dir."
        )


@contextmanager
def only_one(folder: Path, who: str) -> Iterator[None]:
    """Hold the folder for the time of the block; the kernel lets go of it when the process dies, however it dies.

    `who` is what the next one reads. Raises `AlreadyRunning`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / FILE).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise AlreadyRunning(folder, file.read().strip()) from None
        file.truncate(0)
        file.write(who)
        file.flush()
        yield
