"""The interface every object store has, and what it promises."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

CHUNK_BYTES = 1 << 20


class ObjectMissing(Exception):
    """No object has this key."""

    def __init__(self, key: str) -> None:
        super().__init__(f"there is no object {key!r} in the store")
        self.key = key


class StorageUnavailable(Exception):
    """The store did not answer, or answered that it cannot serve now. Trying again later may work."""


class StorageDenied(StorageUnavailable):
    """The store does not let these credentials do this: its operator's to mend."""


class BucketMissing(StorageUnavailable):
    """There is no such bucket."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What was stored: sha256 in hex over all `size_bytes` bytes."""

    key: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Part:
    """One part of an upload that has arrived. Numbers begin at 1."""

    number: int
    size_bytes: int


class PartStore(Protocol):
    """Objects too large for one request: parts in any order, each replaceable, then joined by number. `handle` is the
    store's name for the upload. Every method raises `StorageUnavailable`, and `ObjectMissing` for an unknown handle."""

    def begin(self, key: str) -> str:
        """Open an upload of the object `key`; its handle."""

    def put(self, key: str, handle: str, number: int, path: Path) -> Part:
        """Store the file at `path` as a part, replacing one of the same number. The file may be gone afterwards."""

    def url(self, key: str, handle: str, number: int, seconds: int) -> str | None:
        """A URL to which a client may PUT the part for `seconds`; None where clients cannot reach the store."""

    def arrived(self, key: str, handle: str) -> list[Part]:
        """The parts that have arrived, by number."""

    def join(self, key: str, handle: str) -> None:
        """Make the object of the parts and forget the handle."""

    def abort(self, key: str, handle: str) -> None:
        """Remove the parts; a handle that is not there is no error."""


class ObjectStore(Protocol):
    """Keys are made by the server: lower-case letters, digits and `/._-`. A key is written once and whole: a reader
    sees the complete object or none. Every method raises `StorageUnavailable` when the store cannot be reached."""

    @property
    def parts(self) -> PartStore:
        """Uploads in parts."""

    def put(self, key: str, path: Path) -> ObjectInfo:
        """Store the file at `path` under `key`, replacing what is there."""

    def read(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Bytes [start, end) in chunks. Raises `ObjectMissing` before the first chunk."""

    def size(self, key: str) -> int:
        """Size in bytes. Raises `ObjectMissing`."""

    def delete(self, key: str) -> None:
        """Remove the object; a key that is not there is no error."""

    def keys(self, prefix: str) -> Iterator[str]:
        """All keys that begin with `prefix`."""

    def presigned(self, key: str, filename: str, media_type: str, seconds: int) -> str | None:
        """A URL from which a client may fetch the object for `seconds`; None where clients cannot reach the store."""

    def ping(self) -> None:
        """Raise `StorageUnavailable` unless the store can be used."""


def fetch(store: ObjectStore, key: str, path: Path) -> ObjectInfo:
    """Copy an object to `path` (complete or not at all) and return what was really read."""
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            info = _copy(store, key, file)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return info


def verify(store: ObjectStore, expected: ObjectInfo) -> bool:
    """Read the object back and compare size and sha256: what the store holds, not what it said when it took it."""
    digest, size = hashlib.sha256(), 0
    for chunk in store.read(expected.key):
        digest.update(chunk)
        size += len(chunk)
    return size == expected.size_bytes and digest.hexdigest() == expected.sha256


def describe(key: str, path: Path) -> ObjectInfo:
    """Size and sha256 of a local file."""
    with path.open("rb") as file:
        return ObjectInfo(key, path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def _copy(store: ObjectStore, key: str, file: BinaryIO) -> ObjectInfo:
    digest, size = hashlib.sha256(), 0
    for chunk in store.read(key):
        digest.update(chunk)
        size += len(chunk)
        file.write(chunk)
    return ObjectInfo(key, size, digest.hexdigest())
