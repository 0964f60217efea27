"""What the shards of one attempt cost: how many came, how many of them again, and how many of these only because other
jobs share the cache.

A cache within a number of bytes keeps what was read last. So a shard that the attempt had, and that is not there any
more, would still be there for it alone, where what it has read since then and the shard itself take no more than the
budget. Nothing is asked of other workers or of the cache's lock.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from distill.modalities.images.shards.supply import TALLY
from store.settings import Settings


@dataclass
class Count:
    """Shards and their bytes: that were `fetched`; of these `again`, which the attempt had before; of these `crowded`,
    which made room for others' shards."""

    fetched: int = 0
    fetched_bytes: int = 0
    again: int = 0
    again_bytes: int = 0
    crowded: int = 0
    crowded_bytes: int = 0


class Tally:
    """For any number of threads."""

    def __init__(self, budget_bytes: int) -> None:
        self.budget_bytes, self._count = budget_bytes, Count()
        self._read = OrderedDict[str, int]()
        self._lock, self._told = threading.Lock(), list[Path]()

    @property
    def count(self) -> Count:
        with self._lock:
            return Count(**asdict(self._count))

    def tell(self, folder: Path) -> None:
        """Write every change to a supply's folder, where its asker reads it."""
        self._told.append(folder)
        self._write()

    def note(self, key: str, size_bytes: int, fetched: bool) -> None:
        """A shard, by what it holds, is read; `fetched`: it was not there."""
        with self._lock:
            if fetched:
                self._add(key, size_bytes)
            self._read[key] = size_bytes
            self._read.move_to_end(key)
            if fetched:
                self._write()

    def _add(self, key: str, size_bytes: int) -> None:
        count = self._count
        count.fetched += 1
        count.fetched_bytes += size_bytes
        if key not in self._read:
            return
        count.again += 1
        count.again_bytes += size_bytes
        if self._since(key) <= self.budget_bytes:
            count.crowded += 1
            count.crowded_bytes += size_bytes

    def _since(self, key: str) -> int:
        """Bytes of the shard and of all that were read after it."""
        total = 0
        for other, size in reversed(self._read.items()):
            total += size
            if other == key:
                break
        return total

    def _write(self) -> None:
        for folder in self._told:
            with suppress(OSError):  # the attempt's folder is gone, or full: the job's log has it too
                part = folder / f"{TALLY}.part"
                part.write_text(json.dumps(asdict(self._count) | {"budget_bytes": self.budget_bytes}))
                part.chmod(0o644)
                part.replace(folder / TALLY)


def crowded(count: Count, settings: Settings) -> str:
    """The line for a job's log that names others as the reason, with what helps."""
    where = "the cluster" if settings.ray_shared_dir else "this host"
    return (
        f"{count.crowded:,} shards ({count.crowded_bytes:,} bytes) had to be fetched again, since other jobs share the "
        f"cache. Raise RETORT_SHARD_CACHE_BYTES (it is {settings.shard_cache_bytes:,}), or run fewer jobs on shards at "
        f"once on {where} (RETORT_SLOTS)."
    )


def summary(count: Count) -> str:
    """The line for a job's log at the attempt's end."""
    told = f"shards fetched: {count.fetched:,} ({count.fetched_bytes:,} bytes)"
    again = f"of these again: {count.again:,} ({count.again_bytes:,} bytes)"
    return f"{told}; {again}; because other jobs share the cache: {count.crowded:,} ({count.crowded_bytes:,} bytes)"
