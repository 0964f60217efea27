"""One process in a folder: two that begin the same study there would begin it twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from client.errors import Unusable

try:
    from fcntl import LOCK_EX, LOCK_NB, flock
except ImportError:  # Windows has no such lock: there nothing stops the second
    flock = None  # type: ignore[assignment]

FILE = "study.lock"


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Hold the folder for the time of the block; the system lets go of it when the process dies. Raises `Unusable`
    when another process holds it."""
    with (folder / FILE).open("ab") as file:
        try:
            if flock is not None:
                flock(file, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            raise Unusable(
                f"Another process works on the study in {folder}.", "Wait for it, end it, or give another --output."
            ) from None
        yield
