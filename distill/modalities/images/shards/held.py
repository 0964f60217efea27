"""Files that are read in pieces, held open for a while where opening one costs more than reading a piece of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path


class Held:
    """`seconds`: how long a file is held open after it was found; 0: not beyond the reading of one piece. What is held
    takes room after it was removed. For any number of threads; a loader's process gets one of its own."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._files: dict[int, _File] = {}

    def __reduce__(self) -> tuple[type[Held], tuple[float]]:
        return Held, (self.seconds,)

    def read(self, number: int, find: Callable[[int], Path], offset: int, size: int) -> bytes:
        """At most `size` bytes from `offset` of the file that `find(number)` names. Raises `OSError`, and what `find`
        raises; then the file is looked for anew."""
        file = self._files.get(number)
        if file is None or time.monotonic() > file.until:
            file = self._opened(number, find(number))
        try:
            return os.pread(file.descriptor, size, offset)
        except OSError:
            self._files.pop(number, None)
            raise

    def _opened(self, number: int, path: Path) -> _File:
        now = time.monotonic()
        file = _File(os.open(path, os.O_RDONLY), now + self.seconds)
        if self.seconds:
            kept = {other: held for other, held in list(self._files.items()) if held.until >= now}
            self._files = kept | {number: file}
        return file


class _File:
    """Closed when nobody reads it any more."""

    def __init__(self, descriptor: int, until: float) -> None:
        self.descriptor, self.until = descriptor, until

    def __del__(self) -> None:
        os.close(self.descriptor)
