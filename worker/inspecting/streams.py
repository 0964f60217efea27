"""Datasets of shards: read once by an inspector, and known afterwards by their index.

The inspector, which opens no socket, gets the shards from the worker one after the other and writes the index, of which
the worker reads nothing. What the worker fetches for jobs, and by which size and sha256, it knows otherwise: of shards
that stay where they lie from a manifest of its own, of uploaded ones from the dataset's row.
"""

from __future__ import annotations

import json
import logging
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from distill.modalities.images.shards.record import digest
from distill.modalities.images.shards.supply import INDEX, NAMES, SUPPLY
from store import shard_references
from store.database import Database
from store.objects import ObjectStore
from store.settings import Settings
from store.tables import Dataset
from worker.errors import Internal
from worker.inspecting.inspector import ALLOWED, CPU_SECONDS, INDEX_FILE
from worker.isolation import users
from worker.transfer import shard_lists, shards
from worker.transfer.room import room_of
from worker.transfer.sent_shards import SentShards
from worker.transfer.storing import put
from worker.transfer.supplier import Registering, Supplier

log = logging.getLogger(__name__)
INSPECTOR = "inspector"
SHARD_CPU_SECONDS = 60
"""What reading a shard may take beside the rest: of one of 110 MB (1,000 pictures) it is about half a second."""
Check = Callable[[], None]
Answer = dict[str, Any]


class Stream:
    """One inspection, in `folder`: the inspector works in `inspector` below it and reads `links` and `shards`."""

    def __init__(self, settings: Settings, objects: ObjectStore, row: Dataset, folder: Path, check: Check) -> None:
        """Asks who lists shards for their names. Raises as `shard_lists.listed`."""
        self._settings, self._objects, self._row, self._check = settings, objects, row, check
        self.folder = folder / INSPECTOR
        self.folder.mkdir()
        told = row.shards or {"classes": None}
        classes, classes_from = told["classes"], told.get("classes_from", "")
        if row.streamed:
            bring = None
            counted = classes_from != "shards"
            roles = shard_lists.listed(settings, told["given"], folder, check, counted=counted)
        else:
            sent = SentShards(row, objects, lambda level, message: log.info("%s: %s", row.id, message))
            bring, roles = sent.bring, sent.roles
        (self.folder / NAMES).write_text(json.dumps({"roles": roles, "classes": classes}))
        names = [name for found in roles.values() for name in found]
        kept, links = folder / "shards", folder / "links"
        self._read = Registering(settings, names, kept, links, bring)
        self.supplier = Supplier(links, self.folder / "wanted", kept, settings.shard_cache_bytes)
        self.request = {
            "kind": row.kind, "name": row.name, "task": row.task, "pixel_range": row.pixel_range,
            "box_format": row.box_format or "", "classes_from": classes_from,
            "files": {NAMES: str(self.folder / NAMES), SUPPLY: str(links)},
            ALLOWED: CPU_SECONDS + SHARD_CPU_SECONDS * len(names),
        }  # fmt: skip
        users.grant(folder, users.inspector(settings))
        self.supplier.start(self._read, len(names))

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
