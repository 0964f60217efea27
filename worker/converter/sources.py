"""The files of a sharded checkpoint, wherever they lie: one file, a folder, a zip, a tar. Regular files only."""

from __future__ import annotations

import gzip
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from distill.container import HEAD_BYTES, container
from worker.converter.limits import ConverterLimits
from worker.converter.refusal import SHARDS, refuse, shown
from worker.converter.zip_container import open_member, read_members

READ_ERRORS = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError)
"""What reading a damaged container raises (a `BadGzipFile` is an `OSError`, but not the machine's fault)."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file by its path within the upload; `open` gives its bytes from the start."""

    name: str
    bytes: int
    open: Callable[[], BinaryIO]


@contextmanager
def open_sources(path: Path, limits: ConverterLimits) -> Iterator[list[Source]]:
    """The upload's regular files in its order; readable while the context lasts. Raises `InvalidTeacher`."""
    if path.is_dir():
        yield _folder(path, limits)
    elif (kind := container(_start(path))) == "zip":
        members = read_members(path, limits, stored_only=False)
        with zipfile.ZipFile(path) as archive:
            yield [
                Source(member.name, member.bytes, lambda member=member: open_member(archive, member))  # type: ignore[misc]
                for member in members.values()
            ]
    elif kind == "tar":
        yield from _tar(path, limits)
    else:
        yield [Source("model.safetensors", path.stat().st_size, lambda: path.open("rb"))]


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def _folder(path: Path, limits: ConverterLimits) -> list[Source]:
    sources = []
    for entry in sorted(os.scandir(path), key=lambda entry: entry.name):
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode):
            refuse(f"its file {shown(entry.name)} is a link", SHARDS)
        if stat.S_ISREG(status.st_mode):
            sources.append(Source(entry.name, status.st_size, lambda entry=entry: open(entry.path, "rb")))  # type: ignore[misc]  # noqa: PTH123, SIM115
        if len(sources) > limits.members:
            refuse(f"it has more than {limits.members} files", SHARDS)
    return sources


def _tar(path: Path, limits: ConverterLimits) -> Iterator[list[Source]]:
    try:
        with tarfile.open(path, "r:*" if _start(path)[:2] != b"\x1f\x8b" else "r:gz") as archive:
            infos = _tar_members(archive, path.stat().st_size, limits)
            yield [Source(info.name, info.size, lambda info=info: _extract(archive, info)) for info in infos]  # type: ignore[misc]
    except READ_ERRORS as error:
        refuse(f"its tar cannot be read ({type(error).__name__})", SHARDS)


def _tar_members(archive: tarfile.TarFile, packed: int, limits: ConverterLimits) -> list[tarfile.TarInfo]:
    infos: list[tarfile.TarInfo] = []
    seen: set[str] = set()
    total = 0
    for count, info in enumerate(archive):
        total += info.size
        if count >= limits.members or total > min(limits.output_bytes, limits.ratio * packed + 4096):
            refuse("its tar has too many members, or unpacks to too much", SHARDS)
        name, kind = PurePosixPath(info.name), "regular" if info.isreg() else "folder" if info.isdir() else "other"
        if kind == "other" or info.issparse():
            refuse(f"its member {shown(info.name)} is a link, a device or sparse", SHARDS)
        if name.is_absolute() or ".." in name.parts or not info.name.isprintable() or info.name in seen:
            refuse(f"its member {shown(info.name)} has an unsafe name, or one that it has twice", SHARDS)
        seen.add(info.name)
        infos += [info] if kind == "regular" else []
    return infos


def _extract(archive: tarfile.TarFile, info: tarfile.TarInfo) -> BinaryIO:
    file = archive.extractfile(info)
    assert file is not None  # regular files only
    return file  # type: ignore[return-value]


def names_in_zip(path: Path, limits: ConverterLimits) -> list[str]:
    """Names of a zip's regular files, after the container's checks."""
    return list(read_members(path, limits, stored_only=False))
