"""`python -m worker.place`: take a folder of one's own below RETORT_SCRATCH_DIR, then become `python -m worker`.

For containers that share one scratch volume (`docker compose up --scale worker=N`). A worker sweeps what dead workers
left in its scratch, and tells the dead by their process numbers, which mean nothing in another container. So each takes
the first of the folders `0`, `1`, ... that nobody holds, by a lock that the kernel drops when its holder dies; there
are never more folders than there were workers at once, and who takes a folder sweeps what its last holder left.
"""

from __future__ import annotations

import fcntl
import os
import sys
from itertools import count
from pathlib import Path

LOCK = ".lock"


def take(root: Path) -> tuple[Path, int]:
    """The folder, and the descriptor that holds it for as long as it is open. Raises `OSError`."""
    for number in count():
        folder = root / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        return folder, descriptor
    raise AssertionError("count() has no end")


def main() -> None:
    root = Path(os.environ.get("RETORT_SCRATCH_DIR") or "scratch").absolute()
    try:
        folder, descriptor = take(root)
    except OSError as error:
        sys.exit(f"Cannot use {root} for scratch ({error.strerror}). Set RETORT_SCRATCH_DIR to a folder that is ours.")
    os.set_inheritable(descriptor, True)  # the worker that we become holds it on; its trainers do not get it
    command = [sys.executable, "-m", "worker", *sys.argv[1:]]
    os.execve(command[0], command, os.environ | {"RETORT_SCRATCH_DIR": str(folder)})  # noqa: S606 - our own program


if __name__ == "__main__":
    main()
