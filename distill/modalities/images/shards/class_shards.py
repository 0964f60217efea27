"""Shards of which each is one class, as ImageNet's own tars are: `n01440764.tar` holds the images of `n01440764`.

Nothing but the user's word tells such shards from others, so it is never guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from urllib.parse import unquote

from distill.data.labelled import bad_name
from distill.modalities.images.shards.addresses import is_web
from distill.modalities.images.shards.record import Record
from distill.modalities.images.shards.refusal import refuse

HINT = "The images lie in no class folders. If each shard is one class, register them with `classes_from: shards`."


def class_stems(shards: Iterable[str]) -> dict[str, str]:
    """Shard -> class: its name without folder and ending. Raises `InvalidDataset` where two shards have one."""
    found: dict[str, str] = {}
    first: dict[str, str] = {}
    for name in shards:
        stem = _stem(name)
        if why := bad_name(stem):
            refuse(name, f"each shard is to be one class, and its name {why}", "Call the shard as its class.")
        if stem in first:
            refuse(
                name, f"each shard is to be one class, and {first[stem]!r} is called {stem!r} too",
                "Give every class one shard; or lay the images into folders of their classes.", classes=[stem],
            )  # fmt: skip
        first[stem], found[name] = name, stem
    return found


def _stem(name: str) -> str:
    stem = PurePosixPath(name.partition("?")[0]).stem
    return unquote(stem) if is_web(name) else stem


def in_class(record: Record, stem: str, shard: str, split: str | None) -> Record:
    """The sample as one of the shard's class. Raises `InvalidDataset` for one that lies in a folder, or says a class
    itself."""
    if "/" in record.key:
        refuse(
            shard, f"each shard is to be one class, and {record.key!r} lies in a folder",
            "Leave out `classes_from`, so that folders are classes; or take the images out of their folders.",
            key=record.key,
        )  # fmt: skip
    if record.label is not None:
        refuse(
            shard, f"each shard is to be one class, and {record.key!r} says a class itself",
            "Leave out `classes_from`, so that images say their classes; or take their label files out.",
            key=record.key,
        )  # fmt: skip
    before = stem if split is None else f"{split}/{stem}"
    return replace(record, key=f"{before}/{record.key}", label=stem)


def may_be_classes(shards: Sequence[str]) -> bool:
    """Whether the shards may each be a class: several names, not all of them numbers."""
    stems = {_stem(name) for name in shards}
    return len(stems) == len(shards) > 1 and not all(stem.isdecimal() for stem in stems)


def note_of(stems: Mapping[str, str]) -> str:
    return f"Classes are the names of the shards, one a shard ({len(set(stems.values())):,}), as was asked for."
