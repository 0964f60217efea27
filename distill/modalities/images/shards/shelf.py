"""The shards of a dataset as files of this machine: in place where they can be read there, else fetched when they are
first needed, by this process or by one that supplies it. What is fetched is held against the sha256 of the index."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distill.data.limits import Limits
from distill.data.windows import WINDOW
from distill.modalities.images.shards import origin
from distill.modalities.images.shards.cache import SILENT_SECONDS, ShardCache
from distill.modalities.images.shards.held import Held
from distill.modalities.images.shards.parquet_rows import unpack
from distill.modalities.images.shards.record import Shard
from distill.modalities.images.shards.refusal import changed, gone
from distill.modalities.images.shards.supply import Supply


@dataclass
class Shelf:
    """Can be sent to a worker process. `supply`: who fetches them; None: they are fetched here, by their names. A file
    of this machine is looked at once a process."""

    shards: Sequence[Shard]
    cache: ShardCache
    limits: Limits
    supply: Supply | None = None
    _trusted: dict[int, Path] = field(default_factory=dict)
    _held: Held = field(init=False)

    def __post_init__(self) -> None:
        self._held = Held(self.supply.held_seconds if self.supply else 0.0)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_trusted": {}}

    def path(self, number: int) -> Path:
        """Where shard `number` lies as the index counts its bytes. Raises `ShardGone`, `ShardChanged`,
        `ShardUnavailable`."""
        if number in self._trusted:
            return self._trusted[number]
        shard = self.shards[number]
        if self.supply is not None and not shard.is_parquet:
            return self.supply.path(number)
        if self.in_place(number):
            found = origin.local(shard.name)
            assert found is not None
            self._trust(number, found)
            self._trusted[number] = found
            return found
        return self.cache.get(shard.sha256, shard.kept_bytes, lambda part: self._make(number, part))

    def read(self, number: int, offset: int, size: int) -> bytes:
        """At most `size` bytes of shard `number` from `offset`. Raises as `path` does, and `OSError`."""
        return self._held.read(number, self.path, offset, size)

    def in_place(self, number: int) -> bool:
        """Whether the shard is read where it lies: a tar of this machine."""
        shard = self.shards[number]
        return self.supply is None and not shard.is_parquet and origin.local(shard.name) is not None

    def check_room(self) -> None:
        """Raise `InvalidConfig` where two windows of shards, the one that is read and the one that is fetched ahead,
        are more than may be kept."""
        fetched = [shard for i, shard in enumerate(self.shards) if not self.in_place(i)]
        sizes = sorted(shard.kept_bytes for shard in fetched)
        self.cache.check(sum(sizes[-2 * WINDOW :]))

    def _trust(self, number: int, path: Path) -> None:
        """Look whether the file is as it was; only one that was touched is read for that."""
        shard = self.shards[number]
        if origin.mark(shard.name) != shard.mark and _sha256(path, shard.name) != shard.sha256:
            raise changed(shard.name, "it holds other bytes")

    def _make(self, number: int, part: Path) -> None:
        shard = self.shards[number]
        if not shard.is_parquet:
            _fetch(shard, part)
            return
        making = part.parent / "making" / part.stem
        making.mkdir(parents=True)
        _clear(making)
        try:
            unpack(self._raw(number, making / "raw.parquet"), making / "images", self.limits)
            (making / "images").replace(part)
        finally:
            shutil.rmtree(making, ignore_errors=True)

    def _raw(self, number: int, copy: Path) -> Path:
        """The file of a shard as it was registered; at `copy` where it had to be fetched."""
        if self.supply is not None:
            return self.supply.path(number)
        there = origin.local(self.shards[number].name)
        if there is None:
            _fetch(self.shards[number], copy)
            return copy
        self._trust(number, there)
        return there


def _clear(making: Path) -> None:
    """Remove what processes that were killed left of the same shard."""
    shard, now = making.name.partition(".")[0], making.stat().st_mtime
    for other in making.parent.glob(f"{shard}*"):
        with suppress(FileNotFoundError):
            if now - other.stat().st_mtime > SILENT_SECONDS:
                shutil.rmtree(other, ignore_errors=True)


def _fetch(shard: Shard, path: Path) -> None:
    """Over what is at `path` already, which holds the room."""
    digest, size = hashlib.sha256(), 0
    path.touch()
    with path.open("r+b") as file:
        for chunk in origin.read(shard.name, shard.size_bytes):
            size += len(chunk)
            if size > shard.size_bytes:
                raise changed(shard.name, f"it has more than the {shard.size_bytes:,} bytes that were registered")
            digest.update(chunk)
            file.write(chunk)
        file.truncate()
    if digest.hexdigest() != shard.sha256:
        raise changed(shard.name, "it holds other bytes")


def _sha256(path: Path, name: str) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise gone(name, str(error)) from error
