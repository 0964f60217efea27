"""Which shards a dataset has: asked once for all who read it, and kept while several do."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.modalities.images.shards.spans import UNKNOWN_BYTES
from store import shard_references
from store.objects import ObjectStore
from store.settings import Settings
from store.shard_references import LIST
from store.tables import Dataset
from worker.transfer import shard_lists
from worker.transfer.fetching import Fetcher
from worker.transfer.sent_shards import SentShards
from worker.transfer.storing import put
from worker.transfer.supplier import Bring

log = logging.getLogger(__name__)
Check = Callable[[], None]


@dataclass(frozen=True, slots=True)
class ShardList:
    """`roles`: role -> names, training shards first; `sizes`: of all, in order, None where nobody knows them before
    they were read; `bring`: where they come from, None: from the addresses that their names are."""

    roles: dict[str, list[str]]
    classes: list[str] | None
    classes_from: str
    sizes: list[int] | None
    bring: Bring | None
    decode: str = "bounded"

    @property
    def names(self) -> list[str]:
        return [name for found in self.roles.values() for name in found]

    @property
    def counted(self) -> list[int]:
        """Bytes of each, as far as parts of a size need them."""
        return self.sizes if self.sizes is not None else [UNKNOWN_BYTES] * len(self.names)


def listed(settings: Settings, objects: ObjectStore, row: Dataset, folder: Path, check: Check) -> ShardList:
    """The dataset's shards: where they are read in parts as whoever made the parts found them, otherwise asked for now.
    `folder`: for what is fetched to know them. Raises as `shard_lists.listed` and `Fetcher.get`."""
    note = lambda level, message: log.info("%s: %s", row.id, message)  # noqa: E731
    told = row.shards or {"classes": None}
    classes, classes_from = told["classes"], told.get("classes_from", "")
    if not row.streamed:
        sent = SentShards(row, objects, note)
        sizes = [entry.size_bytes for entry in sent.entries]
        return ShardList(sent.roles, classes, classes_from, sizes, sent.bring)
    kept = (row.reading or {}).get(LIST)
    if kept is None:
        counted = classes_from != "shards"
        roles = shard_lists.listed(settings, told["given"], folder, check, counted=counted)
    else:
        path = Fetcher(objects, folder, check, note).get(kept["object_key"], kept["sha256"], "names.json")
        roles = json.loads(path.read_text())
    return ShardList(roles, classes, classes_from, None, None, told.get("decode", "bounded"))


def kept(shards: ShardList, objects: ObjectStore, row: Dataset, folder: Path, check: Check) -> dict[str, Any]:
    """What `Dataset.reading` says of the list, once it is stored for the others. Raises `StorageDown`, and what `check`
    raises."""
    if shards.sizes is not None:
        return {"bytes": sum(shards.sizes)}
    if LIST in (row.reading or {}):
        return {}
    path = folder / "names.json"
    path.write_text(json.dumps(shards.roles))
    info = put(objects, f"{shard_references.parts(row.id)}{LIST}", path, "the names of shards", check)
    return {LIST: {"object_key": info.key, "size_bytes": info.size_bytes, "sha256": info.sha256}}
