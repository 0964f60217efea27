"""Datasets of shards: read once by an inspector, or in parts by several, and known afterwards by their index.

The inspector, which opens no socket, gets the shards from the worker one after the other and writes the index, of which
the worker reads nothing. What the worker fetches for jobs, and by which size and sha256, it knows otherwise: of shards
that stay where they lie from a manifest of its own, of uploaded ones from the dataset's row.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.modalities.images.shards.record import digest
from distill.modalities.images.shards.spans import Span
from distill.modalities.images.shards.supply import ALL, DECODE, INDEX, NAMES, PART, PARTS, PROBLEM, SAMPLE, SUPPLY
from store import shard_references
from store.database import Database
from store.objects import ObjectStore
from store.settings import Settings
from store.tables import Dataset
from worker.errors import Internal
from worker.inspecting.inspector import ALLOWED, CPU_SECONDS, INDEX_FILE
from worker.inspecting.process import run
from worker.inspecting.shard_list import ShardList
from worker.isolation import users
from worker.transfer import shards
from worker.transfer.room import room_of
from worker.transfer.shards import Entry
from worker.transfer.storing import put
from worker.transfer.supplier import Registering, Supplier

INSPECTOR = "inspector"
SHARD_CPU_SECONDS = 60
"""What reading a shard may take beside the rest: of one of 110 MB (1,000 pictures) it is about half a second."""
DECODED_CPU_SECONDS = 600
"""The same where all its images are decoded."""
Check = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Reads:
    """What an inspection reads of a dataset's shards: by default all of them. `span`, `sample`: only those. `parts`:
    files of others who have read them, in their order, to be joined; with what is `known` of each shard, and the
    `problem` that ended the last of them."""

    span: Span | None = None
    sample: Sequence[int] = ()
    parts: Sequence[Path] = ()
    known: Sequence[Entry] = ()
    problem: dict[str, Any] | None = None


class Stream:
    """One inspection, in `folder`: the inspector works in `inspector` below it and reads `links` and `shards`."""

    def __init__(
        self, settings: Settings, objects: ObjectStore, row: Dataset, folder: Path, check: Check,
        shards: ShardList, reads: Reads | None = None,
    ) -> None:  # fmt: skip
        """`shards`: the dataset's. `reads`: what of them is read."""
        self._settings, self._objects, self._row, self._check = settings, objects, row, check
        names, reads = shards.names, reads or Reads()
        self._numbers = reads.sample or range(*(reads.span or (0, len(names))))
        self.folder = folder / INSPECTOR
        self.folder.mkdir()
        told: dict[str, Any] = {"roles": shards.roles, "classes": shards.classes, DECODE: shards.decode}
        a_shard = DECODED_CPU_SECONDS if shards.decode == ALL else SHARD_CPU_SECONDS
        if reads.span is not None:
            told[PART] = list(reads.span)
        if reads.sample:
            told[SAMPLE] = list(reads.sample)
        if reads.parts:
            told |= {PARTS: self._laid(reads.parts), PROBLEM: reads.problem}
        (self.folder / NAMES).write_text(json.dumps(told))
        kept, links = folder / "shards", folder / "links"
        self._read = Registering(settings, names, kept, links, shards.bring, reads.known)
        self.supplier = Supplier(links, self.folder / "wanted", kept, settings.shard_cache_bytes)
        self.request = {
            "kind": row.kind, "name": row.name, "task": row.task, "pixel_range": row.pixel_range,
            "box_format": row.box_format or "", "classes_from": shards.classes_from,
            "files": {NAMES: str(self.folder / NAMES), SUPPLY: str(links)},
            ALLOWED: CPU_SECONDS + a_shard * len(self._numbers),
        }  # fmt: skip
        users.grant(folder, users.inspector(settings))
        self.supplier.start(self._read, len(names))

    def answer(self, command: Sequence[str], what: str) -> dict[str, Any]:
        """The inspector's, which is supplied meanwhile. Raises what `check` raises."""
        with self.supplier as supplier:
            return run(
                command, what, self.folder, self.request, self._settings, self._check, lambda: supplier.busy
            )  # fmt: skip

    def _laid(self, parts: Sequence[Path]) -> list[str]:
        """The parts where the inspector may read them."""
        folder = self.folder / PARTS
        folder.mkdir()
        return [str(path.rename(folder / str(number))) for number, path in enumerate(parts)]

    @property
    def came(self) -> list[Entry]:
        """Of the shards of this inspection, those that were fetched by now."""
        return [self._read.entries[number] for number in self._numbers if number in self._read.entries]

    def kept(self, database: Database) -> dict[str, Any]:
        """Store the index, and of shards that stay where they lie the manifest; the row's columns that tell of them.
        Raises `QuotaExceeded`, `StorageDown`, and what `check` raises."""
        entries = self._read.all()
        index, manifest = self.folder / INDEX_FILE, self.folder.parent / shard_references.MANIFEST
        if not stat.S_ISREG(index.lstat().st_mode):
            raise Internal("The inspection left no index.")
        written = [(INDEX, index, "shards")]
        if self._row.streamed:
            manifest.write_text(shards.written(entries))
            written.append((shards.MANIFEST, manifest, "json"))
        room = room_of(self._settings, database, self._row.tenant_id)
        room.check(sum(path.stat().st_size for _, path, _ in written))
        files = dict(self._row.files)
        for (role, path, form), key in zip(written, shard_references.object_keys(self._row.id), strict=False):
            info = put(self._objects, key, path, path.name, self._check)
            facts = {"size_bytes": info.size_bytes, "sha256": info.sha256, "filename": path.name, "format": form}
            files[role] = {"object_key": key} | facts
        values = {"files": files, "size_bytes": sum(file["size_bytes"] for file in files.values())}
        if self._row.shards is None or not self._row.streamed:
            return values
        total = sum(each.size_bytes for each in entries)
        shown = self._row.shards | {"count": len(entries), "size_bytes": total}
        return values | {"digest": digest(entries), "shards": shown}
