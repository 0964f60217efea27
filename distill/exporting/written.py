"""A format's file, written, opened by its runtime and compared with torch; or an error of ours, and nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from distill.errors import RetortError
from distill.export import Runner
from distill.not_exportable import not_exportable
from distill.traced import Traced


def written(exporter: Any, traced: Traced, path: Path, title: str) -> tuple[list[Path], Runner]:
    """The files, `path` the first of them, and what runs them. `title`: the format's name. Raises `NotExportable`,
    `ExportDiffers`, `InvalidConfig`; then nothing is left beside what was in the folder before."""
    with nothing_left(path.parent), refusing(title):
        files = exporter.write(traced, path)
        run = exporter.open(path, torch.get_num_threads())
        exporter.check(run, traced, title)
    return files, run


@contextmanager
def nothing_left(folder: Path) -> Iterator[None]:
    """Make the folder; after an error remove what has come into it inside."""
    folder.mkdir(parents=True, exist_ok=True)
    before = set(folder.iterdir())
    try:
        yield
    except BaseException:
        for each in set(folder.iterdir()) - before:
            each.unlink()
        raise


@contextmanager
def refusing(title: str) -> Iterator[None]:
    """Converters, quantisers and runtimes raise what they like on a network of anybody's: all of it is
    `NotExportable`, but for what the machine lacks (memory, room on a disk) and for errors of ours."""
    try:
        yield
    except (RetortError, MemoryError, OSError):
        raise
    except Exception as error:
        raise not_exportable(title, error) from error
