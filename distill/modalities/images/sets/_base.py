"""What a named set is, and where its files may lie."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from distill.errors import InvalidDataset

Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class NamedSet:
    """`splits`: name -> pixels (n, h, w) or (n, h, w, 3), labels (n)."""

    classes: tuple[str, ...]
    splits: dict[str, tuple[Pixels, Labels]]
    notes: tuple[str, ...] = ()


def find_folder(name: str, folders: tuple[str, ...], marker: str, remedy: str) -> Path:
    """The first of `folders` that holds `marker` (or it gzipped): below RETORT_DATA_DIR, torchvision's download folder
    `data`, or as it stands where absolute. Raises `InvalidDataset` with `remedy`."""
    for path in places(folders, os.environ.get("RETORT_DATA_DIR")):
        if (path / marker).is_file() or (path / f"{marker}.gz").is_file():
            return path
    raise InvalidDataset(f"The files of {name} are not on this machine.", remedy, {"name": name, "marker": marker})


def places(folders: tuple[str, ...], data_dir: Path | str | None) -> Iterator[Path]:
    """Where `folders` may be, the first choice first."""
    roots = [Path(root) for root in (data_dir, "data") if root]
    for folder in folders:
        yield from (root / folder for root in (roots if not Path(folder).is_absolute() else [Path()]))
