"""Shards that a user has uploaded, file by file: objects of the service, read by jobs as shards that lie elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from distill.data.split_names import TEST, TRAIN
from distill.modalities.images.shards.record import is_parquet
from store.dataset_files import by_role
from store.objects import ObjectInfo, ObjectStore
from store.tables import Dataset
from worker.transfer.fetching import Fetcher
from worker.transfer.shards import Entry

File = Mapping[str, Any]


class SentShards:
    """Of one dataset: training shards first, then those that test."""

    def __init__(self, row: Dataset, objects: ObjectStore, note: Callable[[str, str], None]) -> None:
        """`note`: called with level and message while the store is waited for."""
        self._objects, self._note = objects, note
        found = by_role(row.files)
        self.roles = {role: _names(role, found[role]) for role in sorted(found, key=_order)}
        self._files = [file for role in self.roles for file in found[role]]
        names = [name for role in self.roles for name in self.roles[role]]
        self.entries = [
            Entry(name, file["size_bytes"], file["sha256"]) for name, file in zip(names, self._files, strict=True)
        ]

    def bring(self, number: int, path: Path, check: Callable[[], None]) -> ObjectInfo:
        """Write the shard over what is at `path`, as it was uploaded. Raises `StorageDown`, `InputDamaged`, and what
        `check` raises."""
        file = self._files[number]
        return Fetcher(self._objects, path.parent, check, self._note).get_over(file["object_key"], file["sha256"], path)


def _order(role: str) -> tuple[bool, bool, str]:
    return role != TRAIN, role != TEST, role


def _names(role: str, files: Sequence[File]) -> list[str]:
    """What users know them as; of the same name, from several folders, each with its place in the list. A tar is one,
    whatever it is called."""
    counted = Counter(file["filename"] for file in files)
    names = []
    for number, file in enumerate(files):
        name = file["filename"]
        name = name if counted[name] == 1 else f"{role}/{number}/{name}"
        names.append(f"{name}.tar" if is_parquet(name) else name)
    return names
