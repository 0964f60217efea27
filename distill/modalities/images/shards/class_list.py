"""What the numbers of a dataset's labels mean: names in a file beside the shards, or in the schema of parquet."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from distill.errors import InvalidDataset
from distill.modalities.images.shards.addresses import is_address
from distill.modalities.images.shards.refusal import refuse

FILES = ("classes.txt", "classnames.txt")
_NUMBER = re.compile(r"-?[0-9]{1,18}")


class ClassList:
    """`names`: by number; None: labels say themselves what they are."""

    def __init__(self, names: Sequence[str] | None = None) -> None:
        self.names = None if names is None else tuple(names)
        self._known = frozenset(self.names or ())

    def follow(self, names: Sequence[str] | None, shard: str) -> None:
        """What a parquet shard calls its classes. Raises `InvalidDataset` where another shard says otherwise."""
        if names is None:
            return
        if self.names is not None and tuple(names) != self.names:
            refuse(shard, "it names other classes than the shards before it", "Write all shards with the same classes.")
        self.names, self._known = tuple(names), frozenset(names)

    def name_of(self, label: str | None, key: str, shard: str) -> str | None:
        """The class that a label says. Raises `InvalidDataset` for one that is beyond the classes, or none of them."""
        if label is None or label in self._known:
            return label
        number = int(label) if _NUMBER.fullmatch(label) else None
        if number is not None and (number < 0 or (self.names and number >= len(self.names))):
            most = f"the classes are 0 to {len(self.names) - 1}" if self.names else "classes count from 0"
            refuse(
                shard, f"the label {label} of {key!r} is beyond the classes: {most}",
                "Correct the label, or name the class.", key=key, label=label,
            )  # fmt: skip
        if self.names is None:
            return label
        if number is not None:
            return self.names[number]
        return refuse(
            shard, f"the label {label[:40]!r} of {key!r} is none of the {len(self.names)} classes",
            "Correct the label, or name the class.", key=key, label=label[:40],
        )  # fmt: skip


def class_list(shards: Sequence[str]) -> ClassList:
    """What a file `classes.txt` or `classnames.txt` beside the first shard says, one class a line, class 0 first.
    Raises `InvalidDataset` for a file that names a class twice, or none."""
    folder = Path(shards[0]).parent
    path = next((folder / name for name in FILES if not is_address(shards[0]) and (folder / name).is_file()), None)
    if path is None:
        return ClassList()
    names = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    while names and not names[-1]:
        names.pop()
    twice = next((name for i, name in enumerate(names) if not name or name in names[:i]), None)
    if not names or twice is not None:
        what = "has an empty line" if twice == "" else f"names {twice!r} twice" if twice else "names no class"
        raise InvalidDataset(f"{path.name} {what}.", "Write one class a line, class 0 first.", {"file": path.name})
    return ClassList(names)
