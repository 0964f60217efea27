"""A lock between processes of one machine, in a file of its own: the system lets go of it when its holder dies."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def held(path: Path, wait: bool = True) -> Iterator[None]:
    """Hold `path`, which is made and stays (who removed it would let a third in beside the second). Raises
    `BlockingIOError` when another holds it and this one is not to `wait`, `OSError` where it cannot be written."""
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
