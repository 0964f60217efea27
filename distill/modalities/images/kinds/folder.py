"""A local folder of images in class folders (ImageFolder)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from distill.data.files import paths_of
from distill.data.limits import Limits
from distill.data.members import Gate, Parts, refuse
from distill.errors import InvalidDataset
from distill.modalities.images.formats import HEAD_BYTES, is_image
from distill.modalities.images.kinds._base import Opened, from_layouts
from distill.modalities.images.paths import File
from distill.modalities.images.sources import FileImages, Source
from distill.modalities.images.tree import arrange
from distill.types import DatasetInput


def open_folder(dataset: DatasetInput, limits: Limits, _: Path | None) -> Opened:
    """Read in place. Links are refused: they could point anywhere."""
    layouts = {}
    for role, root in paths_of(dataset).items():
        if not root.is_dir():
            raise InvalidDataset(f"{root.name!r} is not a folder.", "Give a folder, or use the kind `archive`.")
        files, folders, names = _walk(root, limits)
        layouts[role] = (arrange(files, folders, limits), _maker(root, names))
    return from_layouts(layouts)


def _maker(root: Path, names: list[str]) -> Callable[[list[int]], Source]:
    return lambda positions: FileImages(root, [names[i] for i in positions])


def _walk(root: Path, limits: Limits) -> tuple[list[File], list[Parts], list[str]]:
    gate = Gate(limits, packed_bytes=limits.total_bytes)
    files, folders, names = list[File](), list[Parts](), list[str]()
    for top, below, here in os.walk(root):
        prefix = Path(top).relative_to(root)
        for name in sorted(below):
            folders.append(gate.folder((prefix / name).as_posix()))
            _check_link(Path(top) / name)
        for name in sorted(here):
            relative = (prefix / name).as_posix()
            _check_link(Path(top) / name)
            parts = gate.file(relative, (Path(top) / name).stat().st_size)
            files.append(File(parts, len(names), is_image(name, lambda path=Path(top) / name: _head(path))))  # type: ignore[misc]
            names.append(relative)
    return files, folders, names


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def _check_link(path: Path) -> None:
    if path.is_symlink() or not (path.is_file() or path.is_dir()):
        refuse(f"{path.name!a} is a link or a special file", member=ascii(path.name))


ENTRY = open_folder
