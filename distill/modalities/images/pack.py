"""Encoded images gathered from a stream that cannot be read at random: in memory while small, else in one file."""

from __future__ import annotations

import os
import tempfile
import weakref
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from distill.modalities.images.sources import SpanImages

MEMORY_BYTES = 256 * 2**20


class Pack:
    """Add images, then `finish`. A context manager: what has not been finished when it ends is removed."""

    def __init__(self, scratch: Path | None, memory_bytes: int = MEMORY_BYTES) -> None:
        self._scratch, self._memory_bytes = scratch, memory_bytes
        self._buffer = bytearray()
        self._file: BinaryIO | None = None
        self._path: Path | None = None
        self._offsets: list[int] = []
        self._sizes: list[int] = []
        self._names: list[str] = []
        self._end = 0

    def __enter__(self) -> Pack:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def __len__(self) -> int:
        return len(self._names)

    @property
    def total_bytes(self) -> int:
        """Of the images so far."""
        return self._end

    def add(self, data: bytes, name: str) -> None:
        """Append one image."""
        if self._file is None and self._end + len(data) > self._memory_bytes:
            self._spill()
        if self._file is None:
            self._buffer += data
        else:
            self._file.write(data)
        self._offsets.append(self._end)
        self._sizes.append(len(data))
        self._names.append(name)
        self._end += len(data)

    def _spill(self) -> None:
        handle, path = tempfile.mkstemp(prefix="retort-images-", suffix=".pack", dir=self._scratch)
        self._path, self._file = Path(path), os.fdopen(handle, "wb")
        self._file.write(self._buffer)
        self._buffer.clear()

    def finish(self) -> SpanImages:
        """The images. A file on disk goes when the returned object does, or the process ends."""
        if self._file is None or self._path is None:
            return SpanImages(bytes(self._buffer), self._offsets, self._sizes, self._names)
        self._file.close()
        images = SpanImages(self._path, self._offsets, self._sizes, self._names)
        images.keep = weakref.finalize(images, self._path.unlink, missing_ok=True)
        self._path = None
        return images
