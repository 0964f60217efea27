"""One sample of a shard, as its reader finds it, and what a shard is known by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Record:
    """`key`: what names the sample among all; `offset` and `size` of its encoded image in the shard as it is kept (see
    `distill.modalities.images.shards.kept`); `label`: its class as text, or the number where it is written as one;
    None where it has none; `split`: what its row says of that, None where it says nothing."""

    key: str
    offset: int
    size: int
    label: str | None
    data: bytes
    split: str | None = None


@dataclass(frozen=True, slots=True)
class Shard:
    """`name`: path or address; `size_bytes` and `sha256` (hex) of its file; `kept_bytes`: what it takes where it is
    kept; `mark`: what changes when the file does (`distill.modalities.images.shards.origin.mark`), None where nothing
    tells."""

    name: str
    size_bytes: int
    sha256: str
    kept_bytes: int
    mark: str | None = None

    @property
    def is_parquet(self) -> bool:
        return is_parquet(self.name)


class Hashed(Protocol):
    """A file of which size and sha256 (hex) are known."""

    @property
    def size_bytes(self) -> int: ...

    @property
    def sha256(self) -> str: ...


def digest(shards: Iterable[Hashed]) -> str:
    """sha256, hex, over size and sha256 of every shard, in their order: what a dataset of shards is known by."""
    lines = "".join(f"{shard.size_bytes} {shard.sha256}\n" for shard in shards)
    return sha256(b"retort shards 1\n" + lines.encode()).hexdigest()


def is_parquet(name: str) -> bool:
    """Whether a shard of this name is read as parquet; else as a tar."""
    return name.partition("?")[0].lower().endswith(".parquet")
