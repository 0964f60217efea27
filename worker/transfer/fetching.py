"""Inputs from the object store to the scratch folder, each verified by sha256."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from store.objects import ObjectInfo, ObjectMissing, ObjectStore, StorageUnavailable
from store.objects.base import fetch
from store.tables import Checkpoint
from worker.errors import InputDamaged, StorageDown

log = logging.getLogger(__name__)
PATIENCE_SECONDS, TRIES = 600.0, 3


class Interruptible:
    """A store whose reads ask `check` before every chunk, so that a cancel does not wait for gigabytes."""

    def __init__(self, objects: ObjectStore, check: Callable[[], None]) -> None:
        self._objects, self._check = objects, check

    def read(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        for chunk in self._objects.read(key, start, end):
            self._check()
            yield chunk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._objects, name)


class Fetcher:
    """Brings files into `folder`. `check` raises when the attempt is to end; `note` writes a line of the job's log."""

    def __init__(
        self, objects: ObjectStore, folder: Path, check: Callable[[], None], note: Callable[[str, str], None]
    ) -> None:
        self._objects: Any = Interruptible(objects, check)
        self.folder, self._check, self.note = folder, check, note

    def get(self, key: str, sha256: str, name: str) -> Path:
        """The object as a file, read again while the store is away or gives other bytes. Raises `StorageDown`,
        `InputDamaged`."""
        path = self.folder / name
        self._read(key, sha256, lambda: fetch(self._objects, key, path))
        return path

    def get_over(self, key: str, sha256: str, path: Path) -> ObjectInfo:
        """The same over what is at `path` already, which holds the room; what was read."""
        return self._read(key, sha256, lambda: _over(self._objects, key, path))

    def _read(self, key: str, sha256: str, read: Callable[[], ObjectInfo]) -> ObjectInfo:
        deadline, pause, wrong = time.monotonic() + PATIENCE_SECONDS, 0.5, 0
        while True:
            try:
                found = read()
                if found.sha256 == sha256:
                    return found
                wrong += 1
                if wrong >= TRIES:
                    raise InputDamaged(f"The object store returns other bytes for {key} than were stored.")
                self.note("warning", f"{key} was read damaged; reading it again")
            except ObjectMissing as error:
                raise InputDamaged(f"The object store has lost {key}.", "Register the input again.") from error
            except StorageUnavailable as error:
                if time.monotonic() > deadline:
                    raise StorageDown(
                        f"The object store did not serve for {PATIENCE_SECONDS:.0f} s: {error}"
                    ) from error
                self.note("warning", f"waiting for the object store: {error}")
            pause = self._wait(pause)

    def _wait(self, pause: float) -> float:
        until = time.monotonic() + pause
        while time.monotonic() < until:
            self._check()
            time.sleep(0.1)
        return min(pause * 2, 15.0)

    def checkpoint(self, rows: list[Checkpoint]) -> str | None:
        """The newest checkpoint that can be read whole; a damaged one falls back to the one before it."""
        for row in rows:
            try:
                return str(self.get(row.object_key, row.sha256, f"resume-{row.step}{Path(row.object_key).suffix}"))
            except InputDamaged as error:
                self.note("warning", f"checkpoint of step {row.step} is of no use: {error}")
        return None


def _over(objects: ObjectStore, key: str, path: Path) -> ObjectInfo:
    digest, size = hashlib.sha256(), 0
    path.touch()
    with path.open("r+b") as file:
        for chunk in objects.read(key):
            digest.update(chunk)
            size += len(chunk)
            file.write(chunk)
        file.truncate()
    return ObjectInfo(key, size, digest.hexdigest())
