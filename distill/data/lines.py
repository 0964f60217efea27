"""Lines and pieces of an untrusted UTF-8 stream, within caps. Other encodings are named, with what to do about them."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import BinaryIO, NoReturn

from distill.data.row_checks import RowLimits, refuse
from distill.encodings import WINDOWS, marked, remedy

BOM = codecs.BOM_UTF8


class Lines:
    """Decoded lines, none longer than a row may be. `used`: encoded bytes since the last `fresh`."""

    def __init__(self, stream: BinaryIO, limits: RowLimits, name: str) -> None:
        self._stream, self._limits, self._name = stream, limits, name
        self._total, self.used, self.number = 0, 0, 0

    def fresh(self) -> None:
        self.used = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        raw = self._stream.readline(self._limits.row_bytes + 1 - min(self.used, self._limits.row_bytes))
        if not raw:
            raise StopIteration
        self._count(len(raw))
        if self.number == 1:
            refuse_wide(raw, self._name)
            raw = raw.removeprefix(BOM)
        if b"\0" in raw:
            what = f"line {self.number} of {self._name} holds NUL bytes (is it UTF-16?)"
            refuse(what, remedy("UTF-16"), line=self.number)
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            refuse_bytes(raw, error.start, f"line {self.number} of {self._name}", line=self.number)

    def _count(self, size: int) -> None:
        self.number, self.used, self._total = self.number + 1, self.used + size, self._total + size
        if self.used > self._limits.row_bytes:
            what = f"the row at line {self.number} of {self._name} has more than {self._limits.row_bytes:,} bytes"
            refuse(what, line=self.number)
        check_total(self._total, self._limits, self._name)


class Pieces:
    """Decoded pieces of a stream, of any length."""

    def __init__(self, stream: BinaryIO, limits: RowLimits, name: str) -> None:
        self._stream, self._limits, self._name = stream, limits, name
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._total = 0

    def next(self, count: int) -> str:
        """The next characters, of about `count` bytes; nothing at the end."""
        raw = self._stream.read(count)
        if not self._total:
            refuse_wide(raw, self._name)
            raw = raw.removeprefix(BOM)
        self._total += len(raw)
        check_total(self._total, self._limits, self._name)
        if b"\0" in raw:
            refuse(f"{self._name} holds NUL bytes (is it UTF-16?)", remedy("UTF-16"))
        try:
            return self._decoder.decode(raw, final=not raw)
        except UnicodeDecodeError as error:
            refuse_bytes(error.object, error.start, self._name)


def check_total(total: int, limits: RowLimits, name: str) -> None:
    if total > limits.total_bytes:
        refuse(f"{name} has more than {limits.total_bytes:,} bytes")


def refuse_wide(head: bytes, name: str) -> None:
    """Raise `InvalidDataset` for a byte order mark of UTF-16 or UTF-32."""
    if found := marked(head):
        what = f"{name} is in {found} (Excel's 'Unicode text', Notepad's 'Unicode'), not in UTF-8"
        refuse(what, remedy(found), encoding=found)


def refuse_bytes(raw: bytes, at: int, where: str, **details: object) -> NoReturn:
    """Say which bytes are not UTF-8 and how Windows' code page 1252, the usual other encoding, reads them."""
    near = raw[max(0, at - 12) : at + 12].decode("cp1252", errors="replace").strip()
    what = f"{where} is not UTF-8; in Windows-1252 (Excel's plain 'CSV') it reads {near!r}"
    refuse(what, remedy(WINDOWS), encoding=WINDOWS, **details)
