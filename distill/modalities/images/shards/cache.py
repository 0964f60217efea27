"""Shards on the disk of this machine within a number of bytes, for all processes and jobs that name the same folder.

A shard is kept under its sha256, so that two datasets that hold it share it. Whoever needs one that is not there makes
it while the others wait; what was not read for the longest time makes room. A reader may meet a file that has just
made room: it asks again.

Several machines may name one folder of a network file system (decision 0040). A shard is made under a name that no
other process uses and put in its place whole; room is taken first, by a file that all see, and given back where another
machine took it at the same time. So bytes and budget need no lock that holds across machines; where one does, no shard
is made twice.
"""

from __future__ import annotations

import fcntl
import os
import random
import re
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from distill.errors import InvalidConfig

FOLDER, BYTES = "RETORT_SHARD_CACHE", "RETORT_SHARD_CACHE_BYTES"
DEFAULT_BYTES = 64 * 2**30
_WAIT_SECONDS = 0.05
SILENT_SECONDS = 3600.0
"""What another machine makes and has not written to for so long was given up. Its lock says nothing here."""
_PART = ".part"


class ShardCache:
    """`folder` holds at most `budget_bytes`, those that are being made included. `check` is called while others' shards
    are waited for, and raises to end that. `locks`: a folder of all processes that name the same `owner`, by default
    that of this machine's. Can be sent to a worker process where `check` can."""

    def __init__(
        self,
        folder: Path,
        budget_bytes: int,
        check: Callable[[], None] | None = None,
        locks: Path | None = None,
        owner: str = "",
    ) -> None:
        self.folder, self.budget_bytes, self._check = folder, budget_bytes, check
        self._locks = locks or folder / "locks"
        self._owner = re.sub(r"[^\w-]", "-", owner or socket.gethostname())

    def get(self, key: str, size_bytes: int, make: Callable[[Path], None]) -> Path:
        """The file of `key` (hex), which `make(path)` writes where it is not there, over a file of `size_bytes` without
        content, which holds the room. Raises `InvalidConfig` where `size_bytes` are more than all there may be, and
        what `make` raises; then nothing is kept."""
        path = self.folder / key
        if _touched(path):
            return path
        self.check(size_bytes)
        for folder in (self.folder, self._locks):
            folder.mkdir(parents=True, exist_ok=True)
        with self._locked(key):
            while not _touched(path):
                self._make(path, size_bytes, make)
        return path

    def check(self, size_bytes: int) -> None:
        """Raise `InvalidConfig` where so many bytes never fit."""
        if size_bytes > self.budget_bytes:
            raise InvalidConfig(
                f"Shards of {size_bytes:,} bytes are needed at one time, and {self.budget_bytes:,} may be kept on this "
                "machine.",
                f"Raise {BYTES}, or write smaller shards.",
                {"needed_bytes": size_bytes, "budget_bytes": self.budget_bytes},
            )

    @property
    def used_bytes(self) -> int:
        return sum(size for _, _, size in self._files())

    def _make(self, path: Path, size_bytes: int, make: Callable[[Path], None]) -> None:
        part = path.with_name(f"{path.name}.{self._owner}.{secrets.token_hex(4)}{_PART}")
        self._reserve(part, size_bytes)
        try:
            make(part)
            with suppress(FileNotFoundError):  # who shares no locks with this process has given up on it
                part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def _reserve(self, part: Path, size_bytes: int) -> None:
        """Wait until there is room, make it, and hold it as a file of that length without content."""
        while True:
            with self._locked("room"):
                with part.open("wb") as file:
                    file.truncate(size_bytes)
                if self._made_room(part):
                    return
                part.unlink()
            if self._check is not None:
                self._check()
            # Others are being made: they are done, or given up, in a while. Machines that met do not meet again.
            time.sleep(_WAIT_SECONDS * random.uniform(1, 3))

    def _made_room(self, own: Path) -> bool:
        """`own`: what holds the room that is wanted. All times are the file system's."""
        files, now_ns = sorted(self._files()), own.stat().st_mtime_ns
        used = sum(size for _, _, size in files)
        for then_ns, path, size in files:
            if used <= self.budget_bytes:
                return True
            if path != own and (path.suffix != _PART or self._abandoned(path, (now_ns - then_ns) / 1e9)):
                path.unlink(missing_ok=True)
                used -= size
        return used <= self.budget_bytes

    def _abandoned(self, part: Path, silent_seconds: float) -> bool:
        """Whether the process that made it is no more: its lock went with it."""
        key, *owner = part.stem.split(".")
        if owner and owner[0] != self._owner:
            return silent_seconds > SILENT_SECONDS
        with (self._locks / key).open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return False
            return True

    def _files(self) -> Iterator[tuple[int, Path, int]]:
        """Time of the last reading, path and size of every shard. What is put in its place while the folder is read may
        be missed there, and only there: it is read twice."""
        there = dict[int, tuple[int, Path, int]]()
        for _ in range(2):
            for entry in os.scandir(self.folder):
                with suppress(FileNotFoundError):
                    if entry.is_file():
                        found = entry.stat()
                        there[found.st_ino] = found.st_mtime_ns, Path(entry.path), found.st_size
        yield from there.values()

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        with (self._locks / name).open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _touched(path: Path) -> bool:
    """Whether the file is there; it counts as read now, where this process may say so: an inspector may not."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    except PermissionError:
        return path.is_file()
    return True


def default_folder() -> Path:
    """Where shards and indexes are kept: what RETORT_SHARD_CACHE says, else `retort/shards` in the user's cache."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get(FOLDER) or base / "retort" / "shards")


def default_cache() -> ShardCache:
    """Of RETORT_SHARD_CACHE_BYTES (64 GiB). Raises `InvalidConfig` for what is no number of bytes."""
    said = os.environ.get(BYTES, "")
    if said and not (said.isascii() and said.isdigit() and int(said) > 0):
        raise InvalidConfig(f"{BYTES} is {said[:40]!r}, no number of bytes.", f"Write for example {DEFAULT_BYTES}.")
    return ShardCache(default_folder() / "kept", int(said or DEFAULT_BYTES))
