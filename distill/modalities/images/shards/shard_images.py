"""Images of shards, read by the index: spans of files that are fetched when they are first needed."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from distill.modalities.images.known import Known
from distill.modalities.images.shards.index import Index
from distill.modalities.images.shards.refusal import changed, gone
from distill.modalities.images.shards.shelf import Shelf
from distill.modalities.images.shards.supply import removed
from distill.modalities.images.sources import Encoded

_TRIES = 100


class ShardImages(Encoded):
    """The samples at `places` of an index. `name` is shard and key."""

    def __init__(self, index: Index, places: NDArray[np.int64], shelf: Shelf) -> None:
        self.shelf = shelf
        self._keys: pa.Array = index.rows.column("key").combine_chunks().take(pa.array(places))
        self._shards, self._offsets, self._sizes = (
            index.column(name)[places].astype(np.int64) for name in ("shard", "offset", "size")
        )
        self._known: Known | None = index.known(places)

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_known": None}  # loader processes decode; who made them knows the rest

    def known(self) -> Known | None:
        return self._known

    def fetch(self, group: int) -> None:
        self.shelf.path(group)

    def __len__(self) -> int:
        return len(self._shards)

    def name(self, i: int) -> str:
        return f"{self.shelf.shards[int(self._shards[i])].name}: {self._keys[i].as_py()}"

    def content(self, i: int) -> bytes:
        return self.start(i, int(self._sizes[i]))

    def start(self, i: int, count: int) -> bytes:
        """Raises `ShardGone`, `ShardChanged` and `ShardUnavailable`."""
        number, size = int(self._shards[i]), min(count, int(self._sizes[i]))
        shard = self.shelf.shards[number]
        for _ in range(_TRIES):
            try:
                data = self.shelf.read(number, int(self._offsets[i]), size)
            except OSError as error:  # it has just made room for another one
                if not removed(error):
                    raise
                if self.shelf.in_place(number):
                    raise gone(shard.name, str(error)) from error
                continue
            if len(data) < size:
                raise changed(shard.name, f"it ends within {self._keys[i].as_py()!r}")
            return data
        raise gone(shard.name, "others need its room in the cache all the time")
