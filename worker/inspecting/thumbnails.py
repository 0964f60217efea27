"""A dataset's contact sheet from the inspector's folder to the object store."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

from store.objects import ObjectStore
from store.tables import Dataset, Teacher
from store.thumbnails import object_key
from worker.inspecting.inspector import THUMBNAILS
from worker.transfer.storing import put

__all__ = ["kept", "object_key"]
MOST_BYTES = 8 * 2**20  # 50 rows of 8 tiles are a few hundred KB
_HEAD = 12


def kept(objects: ObjectStore, row: Teacher | Dataset, folder: Path, answer: dict[str, Any]) -> dict[str, Any]:
    """The answer, with size and sha256 of the sheet in `report.thumbnails` once that is stored; without the entry
    where the file is not what it should be: whoever wrote it has read untrusted images. Raises `StorageDown`."""
    report = answer.get("report") or {}
    layout = report.get("thumbnails")
    if not isinstance(row, Dataset) or not layout:
        return answer
    path = folder / THUMBNAILS
    if not _is_webp(path):
        return answer | {"report": report | {"thumbnails": None}}
    info = put(objects, object_key(row.id), path, "the thumbnails")
    stored = layout | {"size_bytes": info.size_bytes, "sha256": info.sha256}
    return answer | {"report": report | {"thumbnails": stored}}


def _is_webp(path: Path) -> bool:
    try:
        facts = path.lstat()
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(facts.st_mode) or not _HEAD <= facts.st_size <= MOST_BYTES:
        return False
    with path.open("rb") as file:
        head = file.read(_HEAD)
    return head[:4] == b"RIFF" and head[8:] == b"WEBP"
