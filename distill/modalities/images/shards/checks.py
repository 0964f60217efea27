"""What holds from one shard to the next, checked in their order: keys that are there once, classes that all name."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from distill.data.split_names import PREDICTION, UNLABELLED
from distill.modalities.images.shards.class_list import ClassList
from distill.modalities.images.shards.refusal import refuse


class Checks:
    """Takes shards and their samples one after the other. Who reads a part checks it by one of these, and who joins the
    parts checks all of it by another: so the first problem in the order of the shards is told, whoever met it."""

    def __init__(self, classes: ClassList) -> None:
        self.classes = classes
        self._names: list[str] = []
        self._keys: dict[bytes, int] = {}

    def shard(self, name: str, classes: Sequence[str] | None) -> None:
        """The next shard, and what it calls its classes. Raises `InvalidDataset`."""
        self._names.append(name)
        self.classes.follow(classes, name)

    def sample(self, key: str, label: str | None, split: str) -> str | None:
        """The class that a sample of the shard says. Raises `InvalidDataset`."""
        name = self._names[-1]
        short = hashlib.sha256(key.encode()).digest()[:12]
        first = self._keys.setdefault(short, len(self._names))
        if first != len(self._names):
            refuse(
                name, f"its key {key!r} is in {self._names[first - 1]!r} too",
                "Give every sample a key of its own, for example with its shard's number before it.", key=key,
            )  # fmt: skip
        return None if split in (UNLABELLED, PREDICTION) else self.classes.name_of(label, key, name)
