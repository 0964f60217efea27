"""A folder of images as one zip file."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

from client.errors import NotThere

NO_LINKS = "Copy the folder with what its links point to (cp -rL FOLDER COPY) and give the copy."


def packed(folder: Path, target: Path) -> Path:
    """Everything but hidden files, uncompressed: images are compressed already. Empty folders too: the service refuses
    an empty class. Raises `NotThere` for links and special files, as the service does with a folder on its own disk."""
    # Zip knows no year before 1980: such dates are written as 1980.
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED, strict_timestamps=False) as archive:
        for file in _visible(folder):
            archive.write(_plain(file, folder), file.relative_to(folder))
    return target


def _visible(folder: Path) -> Iterator[Path]:
    found = sorted(folder.rglob("*"))
    return (file for file in found if not any(part.startswith(".") for part in file.relative_to(folder).parts))


def _plain(file: Path, folder: Path) -> Path:
    if file.is_symlink() or not (file.is_file() or file.is_dir()):
        raise NotThere(f"{file.relative_to(folder)} in {folder} is a link or a special file.", NO_LINKS)
    return file
