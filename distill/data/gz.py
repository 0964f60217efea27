"""A table that gzip has packed, read within the caps that hold for archives."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from distill.data.row_checks import RowLimits, refuse

MAGIC = b"\x1f\x8b"


@contextmanager
def table_stream(path: Path, limits: RowLimits) -> Iterator[BinaryIO]:
    """The file's bytes, unpacked where gzip has packed them. Raises `InvalidDataset` for a damaged stream and for one
    that unpacks to more than `limits.total_bytes`, or to more than `limits.ratio` times its size."""
    with path.open("rb") as file:
        packed = file.read(2) == MAGIC
    if not packed:
        with path.open("rb") as file:
            yield file
        return
    try:
        with gzip.open(path) as unpacked:
            yield cast(BinaryIO, _Bounded(unpacked, path, limits))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        refuse(f"the gzip stream of {path.name} is damaged or truncated ({error})", "Pack and upload it again.")


class _Bounded:
    """What of a stream the readers of tables use, counted."""

    def __init__(self, file: gzip.GzipFile, path: Path, limits: RowLimits) -> None:
        self._file, self._path, self._total = file, path, 0
        self._most = min(limits.total_bytes, max(limits.ratio_free_bytes, int(limits.ratio * path.stat().st_size)))

    def read(self, count: int) -> bytes:
        return self._counted(self._file.read, count)

    def readline(self, count: int) -> bytes:
        return self._counted(self._file.readline, count)

    def _counted(self, read: Callable[[int], bytes], count: int) -> bytes:
        data = read(count)
        self._total += len(data)
        if self._total > self._most:
            what = f"{self._path.name} unpacks to more than {self._most:,} bytes, or many times its size"
            refuse(what, "Upload the table as it is, without gzip.", bytes=self._most)
        return data
