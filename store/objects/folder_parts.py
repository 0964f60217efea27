"""Parts of an upload as files of a hidden folder, until they are joined to one object."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from store.objects.base import CHUNK_BYTES, ObjectMissing, Part, StorageUnavailable

_HANDLE = re.compile(r"[0-9a-f]{32}")


class FolderParts:
    """`adopt(key, path)` makes the complete file at `path` the object `key`, in one step."""

    def __init__(self, root: Path, adopt: Callable[[str, Path], None]) -> None:
        self._root, self._adopt = root / ".parts", adopt

    def begin(self, key: str) -> str:
        handle = uuid4().hex
        try:
            (self._root / handle).mkdir(parents=True)
        except OSError as error:
            raise StorageUnavailable(f"cannot use {self._root}: {error.strerror or error}") from error
        return handle

    def put(self, key: str, handle: str, number: int, path: Path) -> Part:
        folder = self._folder(key, handle)
        partial = folder / f".{uuid4().hex}"
        try:
            shutil.move(path, partial)  # a rename, when the file comes from the same disk
            partial.replace(folder / str(number))
            return Part(number, (folder / str(number)).stat().st_size)
        except OSError as error:
            raise StorageUnavailable(f"cannot write part {number} of {key}: {error.strerror or error}") from error
        finally:
            partial.unlink(missing_ok=True)

    def url(self, key: str, handle: str, number: int, seconds: int) -> str | None:
        return None  # a folder has no URL of its own; the API takes the bytes

    def arrived(self, key: str, handle: str) -> list[Part]:
        found = [path for path in self._folder(key, handle).iterdir() if path.name.isdecimal()]
        return sorted((Part(int(path.name), path.stat().st_size) for path in found), key=lambda part: part.number)

    def join(self, key: str, handle: str) -> None:
        folder = self._folder(key, handle)
        whole = folder / f".{uuid4().hex}"
        try:
            with whole.open("wb") as target:
                for part in self.arrived(key, handle):
                    with (folder / str(part.number)).open("rb") as source:
                        shutil.copyfileobj(source, target, CHUNK_BYTES)
                target.flush()
                os.fsync(target.fileno())
            self._adopt(key, whole)
        except OSError as error:
            raise StorageUnavailable(f"cannot write {key}: {error.strerror or error}") from error
        finally:
            whole.unlink(missing_ok=True)
        self.abort(key, handle)

    def abort(self, key: str, handle: str) -> None:
        if _HANDLE.fullmatch(handle):
            shutil.rmtree(self._root / handle, ignore_errors=True)

    def _folder(self, key: str, handle: str) -> Path:
        folder = self._root / handle
        if not _HANDLE.fullmatch(handle) or not folder.is_dir():
            raise ObjectMissing(key)
        return folder
