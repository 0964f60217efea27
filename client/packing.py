"""A folder of images as one zip file, and by what a folder with tables is told to be one."""

from __future__ import annotations

import csv
import json
import re
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from client.errors import Unusable

#: What the service reads as images, as columns that name them, and as tables beside them (docs/datasets.md).
IMAGES = frozenset(
    {".bmp", ".gif", ".jpg", ".jpeg", ".jfif", ".png", ".pgm", ".ppm", ".tif", ".tiff", ".webp", ".avif"}
)
PATHS = frozenset(
    {"filename", "image", "img", "path", "file", "imagepath", "filepath", "imagename", "imgname", "imagefile"}
    | {"imagefilename", "imgpath", "imageid", "imgid", "idcode"}
)  # without what divides their words
LISTS = frozenset({".csv", ".tsv", ".jsonl", ".ndjson"})
LINE_CHARACTERS = 2**20
NO_LINKS = "Copy the folder with what its links point to (cp -rL FOLDER COPY) and give the copy."


def packed(folder: Path, target: Path) -> Path:
    """Everything but hidden files, uncompressed: images are compressed already. Empty folders too: the service refuses
    an empty class. Raises `Unusable` for links and special files, as the service does with a folder on its own disk."""
    # Zip knows no year before 1980: such dates are written as 1980.
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED, strict_timestamps=False) as archive:
        for file in _visible(folder):
            archive.write(_plain(file, folder), file.relative_to(folder))
    return target


def is_images(folder: Path, tables: Iterable[Path]) -> bool:
    """Whether the tables in `folder` lie there beside images that are the data: they name files (Hugging Face's
    `metadata.csv`), or there are images in several folders, as classes. A picture beside tables of texts is none."""
    names = [table for table in tables if table.suffix.lower() in LISTS]
    places = {file.parent for file in _visible(folder) if file.suffix.lower() in IMAGES} if names else set()
    return len(places) > 1 or (bool(places) and any(PATHS & _columns(table) for table in names))


def _visible(folder: Path) -> Iterator[Path]:
    found = sorted(folder.rglob("*"))
    return (file for file in found if not any(part.startswith(".") for part in file.relative_to(folder).parts))


def _plain(file: Path, folder: Path) -> Path:
    if file.is_symlink() or not (file.is_file() or file.is_dir()):
        raise Unusable(f"{file.relative_to(folder)} in {folder} is a link or a special file.", NO_LINKS)
    return file


def _columns(table: Path) -> set[str]:
    """Names of columns in lower case, without what divides their words; none of what is no table after all, which the
    service then says."""
    with table.open(encoding="utf-8-sig", errors="replace") as file:
        line = file.readline(LINE_CHARACTERS).strip()
    try:
        if table.suffix.lower() in {".csv", ".tsv"}:
            delimiter = max(",;\t", key=line.count)
            return {_key(name) for name in next(csv.reader([line], delimiter=delimiter), [])}
        row = json.loads(line)
    except (csv.Error, ValueError, RecursionError):
        return set()
    return {_key(name) for name in row} if isinstance(row, dict) else set()


def _key(name: str) -> str:
    return re.sub(r"[\s_\-]+", "", name.lower())
