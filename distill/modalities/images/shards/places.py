"""Where an index finds the shards that it reads once: on this machine, on a server, or in another process's hands."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from distill.modalities.images.shards import origin
from distill.modalities.images.shards.supply import Supply


@dataclass(frozen=True, slots=True)
class Lying:
    """A shard's file for as long as it is read: its size, its sha256 (hex), and what changes when it does
    (`distill.modalities.images.shards.origin.mark`)."""

    path: Path
    size_bytes: int
    sha256: str
    mark: str | None = None


class Places(Protocol):
    """Opens shards by number and name, in order; `folder`: for what must be copied to be read."""

    def opened(self, number: int, name: str, folder: Path) -> AbstractContextManager[Lying]: ...


class Named:
    """Shards by their own names: read in place, or copied for as long as they are read. Raises `ShardGone`,
    `ShardUnavailable`."""

    @contextmanager
    def opened(self, number: int, name: str, folder: Path) -> Iterator[Lying]:
        there, copy = origin.local(name), folder / "shard"
        marked = origin.mark(name)
        size, digest = _copied(name, None if there else copy)
        try:
            yield Lying(there or copy, size, digest, marked)
        finally:
            copy.unlink(missing_ok=True)


@dataclass
class Supplied:
    """Shards that are asked for by number, each while the one before it is read. `numbers`: those that are read, in
    order. Raises what `Supply.path` does."""

    supply: Supply
    numbers: Sequence[int]

    def __post_init__(self) -> None:
        self._next = dict(pairwise(self.numbers))

    @contextmanager
    def opened(self, number: int, name: str, folder: Path) -> Iterator[Lying]:
        path = self.supply.path(number)
        if number in self._next:
            self.supply.ask(self._next[number])
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        yield Lying(path, path.stat().st_size, digest)


def _copied(name: str, target: Path | None) -> tuple[int, str]:
    """Size and sha256 of the shard; written to `target`, where there is one."""
    digest, size = hashlib.sha256(), 0
    if target is None:
        for chunk in origin.read(name):
            digest.update(chunk)
            size += len(chunk)
    else:
        with target.open("wb") as file:
            for chunk in origin.read(name):
                digest.update(chunk)
                size += len(chunk)
                file.write(chunk)
    return size, digest.hexdigest()
