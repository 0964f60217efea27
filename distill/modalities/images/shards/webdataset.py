"""A shard as WebDataset has it: a tar in which files of one name, up to its first dot, are one sample.

`a/0001.jpg`, `a/0001.cls` and `a/0001.json` are the sample `a/0001`. The class is what the file `cls` says, a number
or a name; else the field of a class in the file `json` (`distill.data.columns.LABELS`). Where no sample has one,
folders or the shard may say it (`class_folders`, `class_shards`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NoReturn

from distill.data.columns import LABELS, find
from distill.data.labelled import label_of
from distill.data.limits import Limits
from distill.data.members import Gate, Parts
from distill.modalities.images.archives.tar import members
from distill.modalities.images.formats import HEAD_BYTES, is_image
from distill.modalities.images.paths import is_junk
from distill.modalities.images.shards.record import Record
from distill.modalities.images.shards.refusal import naming, refuse

_LABEL_BYTES = 2**20
_USTAR = slice(257, 262)


@dataclass
class _Sample:
    """Files of one key, as they come."""

    key: str
    offset: int = -1
    data: bytes = b""
    label: str | None = None
    described: str | None = None
    parts: set[str] = field(default_factory=set)


@dataclass
class _Gate(Gate):
    shard: str = ""

    def twice(self, parts: Parts, shown: str) -> NoReturn:
        key, _ = _named(parts)
        refuse(
            self.shard, f"two samples have the key {key!r}: {shown} is there twice (upper and lower case count as one)",
            "Give each a key of its own.", key=key,
        )  # fmt: skip


def read_tar(path: Path, name: str, limits: Limits, folders: set[Parts] | None = None) -> Iterator[Record]:
    """The samples of the shard at `path`, which users know as `name`, in order. `folders`: gets those that the tar
    lists. Raises `InvalidDataset` for a tar that is damaged, truncated, nested, or holds a key twice or a sample
    without an image."""
    seen: set[str] = set()
    open_: _Sample | None = None
    with naming(name), path.open("rb") as file:
        for part, key, ending, offset in _files(file, path, name, limits, folders):
            if open_ is None or open_.key != key:
                if open_ is not None:
                    yield _record(open_, name)
                open_ = _begun(key, name, seen)
            _take(open_, ending, part, offset, name)
    if open_ is not None:
        yield _record(open_, name)


def _files(
    file: BinaryIO, path: Path, name: str, limits: Limits, folders: set[Parts] | None
) -> Iterator[tuple[bytes, str, str, int]]:
    """Content, key, ending and offset of every file that belongs to a sample."""
    end = path.stat().st_size
    gate = _Gate(limits, end, shard=name)

    def skip(count: int) -> None:
        if count > end - file.tell():
            refuse(name, "it is truncated", "Write or copy it again.")
        file.seek(count, 1)

    for member in members(file, skip):
        if member.folder:
            listed = gate.folder(member.name)
            if folders is not None:
                folders.add(listed)
            continue
        parts = gate.file(member.name, member.size)
        if is_junk(parts):
            continue
        key, ending = _named(parts)
        data = file.read(member.size)
        if len(data) < member.size:
            refuse(name, f"it is truncated within {member.name!r}", "Write or copy it again.", member=member.name)
        _check_nested(name, member.name, data)
        if ending:
            yield data, key, ending, member.offset


def _named(parts: Parts) -> tuple[str, str]:
    """Key and ending: what comes before the first dot of the file's name, and behind it."""
    base, _, ending = parts[-1].partition(".")
    return "/".join((*parts[:-1], base)), ending.lower()


def _check_nested(shard: str, member: str, data: bytes) -> None:
    if PurePosixPath(member).suffix.lower() in (".tar", ".tgz") or data[_USTAR] == b"ustar":
        refuse(
            shard, f"it holds another tar, {member!r}", "Unpack it and write its samples into the shard.", member=member
        )


def _begun(key: str, shard: str, seen: set[str]) -> _Sample:
    if key in seen:
        refuse(
            shard, f"the key {key!r} is there twice, with other samples between",
            "Give every sample a key of its own, and write the files of a sample one after the other.", key=key,
        )  # fmt: skip
    seen.add(key)
    return _Sample(key)


def _take(sample: _Sample, ending: str, data: bytes, offset: int, shard: str) -> None:
    if ending in sample.parts:
        refuse(shard, f"two samples have the key {sample.key!r}", "Give each a key of its own.", key=sample.key)
    sample.parts.add(ending)
    if ending == "cls":
        sample.label = _text(data, sample.key, shard)
    elif ending == "json":
        sample.described = _described(data, sample.key, shard)
    elif "." not in ending and is_image(f"x.{ending}", lambda: data[:HEAD_BYTES]):  # `seg.png` is a mask beside it
        if sample.offset >= 0:
            refuse(shard, f"the sample {sample.key!r} has two images", "Write one image a sample.", key=sample.key)
        sample.offset, sample.data = offset, data


def _text(data: bytes, key: str, shard: str) -> str | None:
    try:
        return label_of(data.decode("utf-8")) if len(data) < _LABEL_BYTES else _no_label(key, shard)
    except UnicodeDecodeError:
        return _no_label(key, shard)


def _described(data: bytes, key: str, shard: str) -> str | None:
    """The class that a JSON object says; None where it says none."""
    try:
        said = json.loads(data) if len(data) < _LABEL_BYTES else _no_label(key, shard)
    except (ValueError, RecursionError):
        return _no_label(key, shard)
    column = find(said, LABELS) if isinstance(said, dict) else None
    value = said[column] if column else None
    return None if isinstance(value, bool) else label_of(value)


def _no_label(key: str, shard: str) -> NoReturn:
    refuse(shard, f"the label of {key!r} is no text, or no JSON", "Write a number or a name.", key=key)


def _record(sample: _Sample, shard: str) -> Record:
    if sample.offset < 0:
        held = ", ".join(sorted(sample.parts))
        refuse(
            shard, f"the sample {sample.key!r} has no image (it has {held})",
            "Add one, or take the sample out.", key=sample.key,
        )  # fmt: skip
    label = sample.label if sample.label is not None else sample.described
    return Record(sample.key, sample.offset, len(sample.data), label, sample.data)
