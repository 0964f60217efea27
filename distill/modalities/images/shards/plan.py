"""What is to be read of a dataset of shards: the same for all who read parts of it, and for who joins the parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from distill.data.limits import Limits
from distill.data.split_names import splits_among
from distill.errors import InvalidDataset
from distill.modalities.images.shards.class_list import ClassList
from distill.modalities.images.shards.class_shards import class_stems
from distill.types import ClassesFrom


@dataclass(frozen=True, slots=True)
class Plan:
    """`names`: of all shards, in order; `splits`: what roles or the shards' names say, None where they say nothing;
    `stems`: shard -> its class, where each shard is one; `classes`: what numbers of labels mean, None where the shards
    tell."""

    names: tuple[str, ...]
    splits: tuple[str | None, ...]
    stems: Mapping[str, str]
    classes: tuple[str, ...] | None
    classes_from: ClassesFrom
    limits: Limits

    @property
    def pixels_a_shard(self) -> int:
        """How many are decoded of each."""
        return self.limits.verify_pixels // len(self.names)

    def class_list(self) -> ClassList:
        """Before the first shard was read."""
        return ClassList(self.classes)


def plan_of(
    roles: Mapping[str, Sequence[str]], limits: Limits, classes: Sequence[str] | None, classes_from: ClassesFrom
) -> Plan:
    """`roles`: `all`, or `train` with or without `test` -> names of shards; `classes_from`: as in `DatasetInput`.
    Raises `InvalidDataset`."""
    by_shard = classes_from == "shards"
    said = {role: {} if by_shard or role != "all" else _splits_by_name(names) for role, names in roles.items()}
    stems = {name: stem for names in roles.values() for name, stem in class_stems(names).items()} if by_shard else {}
    named = [(role, name) for role, names in roles.items() for name in names]
    splits = tuple(said[role].get(name) if role == "all" else role for role, name in named)
    told = None if classes is None else tuple(classes)
    return Plan(tuple(name for _, name in named), splits, stems, told, classes_from, limits)


def _splits_by_name(names: Sequence[str]) -> dict[str, str]:
    """Shard -> split where the shards' own names say one, all of them or none. Raises `InvalidDataset`."""
    stems = {name: PurePosixPath(name.partition("?")[0]).stem for name in names}
    said = splits_among(stems.values())
    found = {name: said[stem].split for name, stem in stems.items() if stem in said}
    if found and len(found) < len(names):
        odd = next(name for name in names if name not in found)
        raise InvalidDataset(
            f"The names of {len(found)} shards say a split, that of {odd!r} does not.",
            "Name the shards of each split as such, or give them as train and test.",
            {"shard": odd},
        )
    return found
