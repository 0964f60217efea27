"""Sharded safetensors to one file: headers checked, then byte ranges copied; memory stays flat, torch is not needed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from distill.errors import InvalidTeacher
from distill.safetensors_header import Header, parse_header
from worker.converter.folder_config import is_read, told_by_folder
from worker.converter.limits import ConverterLimits
from worker.converter.refusal import SHARDS, refuse, shown
from worker.converter.shard_index import parse_index
from worker.converter.sources import READ_ERRORS, Source, open_sources
from worker.converter.writer import Entry, encode_header

_INDEX, _SHARD = ".safetensors.index.json", ".safetensors"
_PART = re.compile(r"-\d+-of-(?!0*1\.)\d+\.safetensors$")  # one of several, by its name
_CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class _Shard:
    name: str
    source: Source
    header: Header

    @property
    def data_bytes(self) -> int:
        return sum(tensor.bytes for tensor in self.header.tensors.values())

    @property
    def data_start(self) -> int:
        """A valid shard ends with its last tensor."""
        return self.source.bytes - self.data_bytes


def convert_shards(path: Path, out: Path, limits: ConverterLimits) -> tuple[int, tuple[str, ...]]:
    """Merge the shards at `path` (safetensors file, folder, zip, tar) into `out`; (tensors, notes).

    Every tensor lies in exactly one shard, the one that the index names; without an index there is one file only.
    Raises `InvalidTeacher`.
    """
    try:
        with open_sources(path, limits) as sources:
            files, index, left = _sort(sources, limits)
            metadata = told_by_folder(sources, set(files), limits)
            unread = [source.name for source in left if not (metadata and is_read(source))]
            notes = (f"Left out: {', '.join(map(shown, unread))[:300]}.",) if unread else ()
            shards = [_Shard(name, source, _header(name, source, limits)) for name, source in files.items()]
            _check(shards, index, limits)
            return _merge(shards, out, metadata), notes
    except READ_ERRORS as error:
        refuse(f"one of its files is damaged ({type(error).__name__})", SHARDS)


def _sort(sources: list[Source], limits: ConverterLimits) -> tuple[dict[str, Source], Source | None, list[Source]]:
    """(shards by plain name, index, other files): shards and index in one folder of the upload."""
    ours = [s for s in sources if not _is_litter(s.name)]
    wanted = [s for s in ours if s.name.endswith((_INDEX, _SHARD))]
    if len({PurePosixPath(source.name).parent for source in wanted}) > 1:
        refuse("its shards and their index lie in different folders", SHARDS)
    shards = {PurePosixPath(s.name).name: s for s in wanted if s.name.endswith(_SHARD)}
    indices = [s for s in wanted if s.name.endswith(_INDEX)]
    if not 0 < len(shards) <= limits.shards or len(indices) > 1:
        refuse(f"it holds {len(shards)} safetensors files and {len(indices)} indices", SHARDS)
    return shards, indices[0] if indices else None, [source for source in ours if source not in wanted]


def _is_litter(name: str) -> bool:
    """What archivers of desktops add."""
    parts = PurePosixPath(name).parts
    return "__MACOSX" in parts or parts[-1] == ".DS_Store" or parts[-1].startswith("._")


def _header(name: str, source: Source, limits: ConverterLimits) -> Header:
    try:
        with source.open() as file:
            return parse_header(file, source.bytes)
    except InvalidTeacher as error:
        raise InvalidTeacher(f"{shown(name)}: {error.message}", error.remedy, error.details | {"file": name}) from error


def _check(shards: list[_Shard], index: Source | None, limits: ConverterLimits) -> None:
    homes = {name: shard.name for shard in shards for name in shard.header.tensors}
    count, total = sum(len(shard.header.tensors) for shard in shards), sum(shard.data_bytes for shard in shards)
    if count != len(homes) or count > limits.tensors or total > limits.output_bytes:
        refuse("a tensor lies in two of its shards, or it holds too many", SHARDS, tensors=count, bytes=total)
    if index is None:
        if len(shards) > 1 or _PART.search(shards[0].name):
            refuse(f"it has {len(shards)} shards and no index", SHARDS)
        return
    weight_map, promised = parse_index(_read(index, limits), limits)
    if missing := sorted(set(weight_map.values()) - {shard.name for shard in shards}):
        refuse(f"its index names shards that are not there: {', '.join(map(shown, missing[:5]))}", SHARDS)
    if wrong := sorted(name for name in weight_map.keys() | homes.keys() if weight_map.get(name) != homes.get(name)):
        refuse(f"index and shards disagree about {shown(wrong[0])} ({len(wrong)} tensors in all)", SHARDS)
    if promised is not None and promised != total:
        refuse(f"its index promises {promised} bytes and its shards hold {total}", SHARDS)


def _read(index: Source, limits: ConverterLimits) -> bytes:
    with index.open() as file:
        return file.read(min(index.bytes, limits.index_bytes + 1))


def _merge(shards: list[_Shard], out: Path, metadata: Mapping[str, str]) -> int:
    """Write the shards' tensor bytes one after the other; those that keep the next one aligned first."""
    entries: dict[str, Entry] = {}
    bases: dict[str, int] = {}
    end = 0
    for shard in sorted(shards, key=lambda shard: shard.data_bytes % 8 != 0):
        bases[shard.name] = end
        shift = end - shard.data_start
        for name, tensor in shard.header.tensors.items():
            begin = tensor.offset + shift
            entries[name] = (tensor.dtype, tensor.shape, begin, begin + tensor.bytes)
        end += shard.data_bytes
    head = encode_header(entries, metadata)
    with out.open("wb") as file:
        file.write(head)
        for shard in shards:  # in the upload's order: a compressed tar is read forwards only
            file.seek(len(head) + bases[shard.name])
            _copy(shard, file)
    return len(entries)


def _copy(shard: _Shard, out: BinaryIO) -> None:
    with shard.source.open() as file:
        _skip(file, shard.data_start)
        left = shard.data_bytes
        while left:
            chunk = file.read(min(_CHUNK, left))
            if not chunk:
                refuse(f"{shown(shard.name)} is truncated", SHARDS)
            out.write(chunk)
            left -= len(chunk)


def _skip(file: BinaryIO, count: int) -> None:
    while count > 0 and (chunk := file.read(min(_CHUNK, count))):
        count -= len(chunk)
