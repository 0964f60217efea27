"""One object from one store to another, verified by size and sha256 on both sides."""

from __future__ import annotations

import hashlib
from pathlib import Path
from uuid import uuid4

from store.backup.manifest import BackupError
from store.objects import ObjectInfo, ObjectMissing, ObjectStore
from store.objects.base import fetch, verify


def has(store: ObjectStore, expected: ObjectInfo) -> bool:
    """Whether the store holds exactly these bytes: they are read."""
    try:
        return verify(store, expected)
    except ObjectMissing:
        return False


def copy(source: ObjectStore, target: ObjectStore, expected: ObjectInfo, scratch: Path) -> None:
    """Raises `ObjectMissing`, `StorageUnavailable`, and `BackupError` when the bytes are not those expected."""
    path = scratch / f".copy-{uuid4().hex}"
    try:
        read = fetch(source, expected.key, path)
        if (read.size_bytes, read.sha256) != (expected.size_bytes, expected.sha256):
            raise BackupError(
                f"{expected.key} is damaged in the store: it has {read.size_bytes} bytes with sha256 {read.sha256}, "
                f"its row says {expected.size_bytes} and {expected.sha256}.",
                "Delete the teacher, dataset or job that it belongs to, or restore it from an older backup.",
            )
        target.put(expected.key, path)
    finally:
        path.unlink(missing_ok=True)
    if not has(target, expected):
        raise BackupError(f"{expected.key} was written, but reads back as something else.", "Check the disk.")


def sha256_of(path: Path) -> str:
    """In hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
