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
from contextlib import suppress
from itertools import count
from pathlib import Path

LOCK, TRAINER = ".lock", "RETORT_TRAINER_UID"
APART = 100  # more than one worker's slots


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
    _leave_root()
    root = Path(os.environ.get("RETORT_SCRATCH_DIR") or "scratch").absolute()
    try:
        folder, descriptor = take(root)
    except OSError as error:
        sys.exit(f"Cannot use {root} for scratch ({error.strerror}). Set RETORT_SCRATCH_DIR to a folder that is ours.")
    os.set_inheritable(descriptor, True)  # the worker that we become holds it on; its trainers do not get it
    command = [sys.executable, "-m", "worker", *sys.argv[1:]]
    own = {"RETORT_SCRATCH_DIR": str(folder), **_users(root, int(folder.name))}
    os.execve(command[0], command, os.environ | own)  # noqa: S606 - our own program


def _leave_root() -> None:
    if os.geteuid() == 0 and os.environ.get("RETORT_WORKER_UID"):
        from worker.isolation import root

        root.leave()


def _users(root: Path, number: int) -> dict[str, str]:
    """Trainers' user ids of this worker alone, because the scratch volume is shared, and a way to it for them."""
    first = os.environ.get(TRAINER, "")
    if not first.isdecimal() or not int(first):
        return {}  # none, or for the worker to refuse
    with suppress(PermissionError):  # not ours; the worker says what is wrong, if anything is
        root.chmod(root.stat().st_mode & 0o7777 | 0o001)
    return {TRAINER: str(int(first) + APART * number)}


if __name__ == "__main__":
    main()
