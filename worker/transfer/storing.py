"""What an inspection has made, to the object store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from store.objects import ObjectInfo, ObjectStore, StorageUnavailable
from worker.errors import StorageDown
from worker.transfer.watched import watched


def put(objects: ObjectStore, key: str, path: Path, what: str, check: Callable[[], None] | None = None) -> ObjectInfo:
    """Store the file; `check` is called while that goes on. Raises what it raises, and `StorageDown`, which names
    `what` was not taken."""
    try:
        return objects.put(key, path) if check is None else watched(lambda: objects.put(key, path), check)
    except StorageUnavailable as error:
        raise StorageDown(f"The object store did not take {what}: {error}") from error
