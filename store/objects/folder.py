"""Objects as files of one folder: the embedded default."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from store.objects.base import CHUNK_BYTES, ObjectInfo, ObjectMissing, StorageUnavailable, describe
from store.objects.folder_parts import FolderParts

_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


class FolderStore:
    """Atomic by rename: a file under its key is complete."""

    def __init__(self, root: Path) -> None:
        self.root, self._incoming = root, root / ".incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)
        self.parts = FolderParts(root, lambda key, path: _place(path, self._path(key)))

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"not a key of this store: {key!r}")
        return self.root / key

    def put(self, key: str, path: Path) -> ObjectInfo:
        target, partial = self._path(key), self._incoming / uuid4().hex
        if not path.is_file():
            raise FileNotFoundError(path)
        try:
            self._incoming.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, partial)
            info = describe(key, partial)
            _sync(partial)
            _place(partial, target)
        except OSError as error:
            raise StorageUnavailable(f"cannot write {key} to {self.root}: {error.strerror or error}") from error
        finally:
            partial.unlink(missing_ok=True)
        return info

    def read(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        try:
            file = self._path(key).open("rb")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise ObjectMissing(key) from error
        return _chunks(file, start, os.fstat(file.fileno()).st_size if end is None else end)

    def size(self, key: str) -> int:
        path = self._path(key)
        if not path.is_file():
            raise ObjectMissing(key)
        return path.stat().st_size

    def delete(self, key: str) -> None:
        path = self._path(key)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageUnavailable(f"cannot remove {key} from {self.root}: {error.strerror or error}") from error
        for folder in path.parents:
            if folder == self.root:
                return
            try:
                folder.rmdir()
            except OSError:  # not empty, or another thread was faster
                return

    def keys(self, prefix: str) -> Iterator[str]:
        for path in sorted(self.root.rglob("*")):
            key = path.relative_to(self.root).as_posix()
            if path.is_file() and not key.startswith(".") and key.startswith(prefix):
                yield key

    def presigned(self, key: str, filename: str, media_type: str, seconds: int) -> str | None:
        return None  # a folder has no URL of its own; the API serves the bytes

    def sweep(self, older_seconds: float) -> int:
        """Remove what killed processes left half written; how many files. Younger ones may still be written."""
        left = [path for path in self._incoming.glob("*") if time.time() - _modified(path) > older_seconds]
        for path in left:
            path.unlink(missing_ok=True)
        return len(left)

    def ping(self) -> None:
        try:
            self._incoming.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageUnavailable(f"cannot use {self.root}: {error.strerror or error}") from error


def _modified(path: Path) -> float:
    """Seconds since 1970; now, when it has just gone."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()


def _place(partial: Path, target: Path) -> None:
    """Move a complete file under its key. `delete` may take an empty folder away at any moment in between."""
    for last in (*[False] * 100, True):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            partial.replace(target)
            return
        except (FileNotFoundError, FileExistsError):
            if last or not partial.exists():
                raise


def _chunks(file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    with file:
        file.seek(start)
        left = end - start
        while left > 0 and (chunk := file.read(min(CHUNK_BYTES, left))):
            left -= len(chunk)
            yield chunk


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
