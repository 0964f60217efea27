"""An archive or a folder as its admitted files, whatever is inside: what layouts of images are found in."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from distill.data.limits import Limits
from distill.data.members import Gate, Parts, refuse
from distill.errors import InvalidDataset
from distill.modalities.images.archives.tar import TarMembers
from distill.modalities.images.archives.zip import ZipMembers
from distill.modalities.images.formats import HEAD_BYTES, is_image
from distill.modalities.images.paths import File
from distill.modalities.images.sources import FileImages, Source, UnreadableImage


class Members(Protocol):
    """Admitted files and folders. `source` makes images of the files at some positions; a file whose `position` is
    negative holds neither an image, a table nor a list and cannot be read."""

    files: list[File]
    folders: list[Parts]

    def source(self, positions: list[int]) -> Source: ...


def members_of(path: Path, limits: Limits, scratch: Path | None) -> Members:
    """The members of a folder, zip, tar or tar.gz; a file's first bytes tell its format, not its name. Raises
    `InvalidDataset`."""
    if path.is_dir():
        return FolderMembers(path, limits)
    with path.open("rb") as file:
        is_zip = file.read(2) == b"PK"
    return ZipMembers(path, limits) if is_zip else TarMembers(path, limits, scratch)


def content(members: Members, file: File) -> bytes:
    """A file's bytes. Raises `InvalidDataset`."""
    return _read(file, lambda: members.source([file.position]).content(0))


def start(members: Members, file: File, count: int) -> bytes:
    """A file's first bytes, at most `count`. Raises `InvalidDataset`."""
    return _read(file, lambda: members.source([file.position]).start(0, count))


def _read(file: File, read: Callable[[], bytes]) -> bytes:
    try:
        return read()
    except UnreadableImage as error:
        refuse(f"{'/'.join(file.parts)} cannot be read ({error})", member="/".join(file.parts))


class FolderMembers:
    """Files of a local folder, read in place. Links are refused: they could point anywhere."""

    def __init__(self, root: Path, limits: Limits) -> None:
        if not root.is_dir():
            raise InvalidDataset(f"{root.name!r} is not a folder.", "Give a folder, or use the kind `archive`.")
        self.root, self.files, self.folders = root, list[File](), list[Parts]()
        self._names: list[str] = []
        gate = Gate(limits, packed_bytes=limits.total_bytes)
        for top, below, here in os.walk(root):
            self._admit(Path(top).relative_to(root), below, here, gate)

    def source(self, positions: list[int]) -> FileImages:
        return FileImages(self.root, [self._names[i] for i in positions])

    def _admit(self, prefix: Path, below: Sequence[str], here: Sequence[str], gate: Gate) -> None:
        for name in sorted(below):
            self.folders.append(gate.folder((prefix / name).as_posix()))
            _check_link(self.root / prefix / name)
        for name in sorted(here):
            relative = (prefix / name).as_posix()
            _check_link(self.root / relative)
            parts = gate.file(relative, (self.root / relative).stat().st_size)
            image = is_image(name, partial(_head, self.root / relative))
            self.files.append(File(parts, len(self._names), image))
            self._names.append(relative)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def _check_link(path: Path) -> None:
    if path.is_symlink() or not (path.is_file() or path.is_dir()):
        refuse(f"{path.name!a} is a link or a special file", member=ascii(path.name))
