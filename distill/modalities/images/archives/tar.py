"""The member loop for tar and tar.gz: our own header parser, because tarfile reads extended headers of any length
into memory and knows links, devices and sparse files, none of which a dataset needs.

Read: POSIX ustar and pax (path and size records), GNU long names; 512-byte blocks, two zero blocks at the end.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from distill.data.limits import Limits
from distill.data.members import Gate, Parts, refuse
from distill.data.rows import FORMS
from distill.modalities.images.formats import HEAD_BYTES, is_image
from distill.modalities.images.pack import Pack
from distill.modalities.images.paths import File
from distill.modalities.images.sources import Picked, Source, SpanImages

_BLOCK, _MAGIC = 512, slice(257, 262)
_EXTENDED_BYTES = 64 * 1024
_LISTS = frozenset({".txt", ".json", ".xml", ".yaml", ".yml", ".names", ".labels", ".cls"})  # classes, splits, boxes
_REGULAR = frozenset({b"0", b"\0", b"7"})


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file or a folder; `offset` of its first byte in the tar stream."""

    name: str
    size: int
    offset: int
    folder: bool


class TarMembers:
    """Admitted files and folders of the tar at `path`. A plain tar is read in place; of a compressed one the images
    are packed into memory, or into one file under `scratch` where they are many."""

    def __init__(self, path: Path, limits: Limits, scratch: Path | None) -> None:
        self.files, self.folders = list[File](), list[Parts]()
        gate = Gate(limits, path.stat().st_size)
        self._images = self._in_place(path, gate) if not is_gzip(path) else self._packed(path, gate, scratch)

    def source(self, positions: list[int]) -> Source:
        import numpy as np

        return Picked(self._images, np.array(positions, np.int64))

    def _in_place(self, path: Path, gate: Gate) -> SpanImages:
        offsets, sizes, names = list[int](), list[int](), list[str]()
        with path.open("rb") as file:
            end = path.stat().st_size
            for member in members(file, lambda count: _seek(file, count, end)):
                if self._admit(member, gate, len(names), file.read) is not None:
                    offsets.append(member.offset)
                    sizes.append(member.size)
                    names.append(member.name)
        return SpanImages(path, offsets, sizes, names)

    def _packed(self, path: Path, gate: Gate, scratch: Path | None) -> SpanImages:
        try:
            with gzip.open(path) as file, Pack(scratch) as pack:
                stream = _Counted(file, gate)
                for member in members(stream, stream.skip):  # type: ignore[arg-type]
                    head = self._admit(member, gate, len(pack), stream.exactly)
                    if head is not None:
                        pack.add(head + stream.exactly(member.size - len(head)), member.name)
                stream.drain()
                return pack.finish()
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            refuse(f"its gzip stream is damaged or truncated ({error})")

    def _admit(self, member: Member, gate: Gate, position: int, read: Callable[[int], bytes]) -> bytes | None:
        """The member's first bytes, which were read, where it is an image, a table or a list that `position` shall
        stand for; else None."""
        if member.folder:
            self.folders.append(gate.folder(member.name))
            return None
        parts = gate.file(member.name, member.size)
        table = PurePosixPath(parts[-1]).suffix.lower() in FORMS | _LISTS
        head = b"" if table else read(min(member.size, HEAD_BYTES))
        image = not table and is_image(parts[-1], lambda: head)
        self.files.append(File(parts, position if image or table else -1, image))
        return head if image or table else None


def is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _seek(file: BinaryIO, count: int, end: int) -> None:
    if count > end - file.tell():  # before seeking: a header may claim more than a position can be
        refuse("it is truncated")
    file.seek(count, 1)


class _Counted:
    """A decompressed stream that knows its position and stops at the gate's total and ratio."""

    def __init__(self, file: gzip.GzipFile, gate: Gate) -> None:
        self._file, self._position = file, 0
        # Headers and padding come on top of the files' own bytes: at most three blocks a member, plus the end.
        self._most = min(gate.limits.total_bytes, int(gate.limits.ratio * gate.packed_bytes)) + 2**22
        self._most = max(self._most, gate.limits.ratio_free_bytes)

    def tell(self) -> int:
        return self._position

    def read(self, count: int) -> bytes:
        data = self._file.read(count)
        self._position += len(data)
        if self._position > self._most:
            refuse("it unpacks to far more than its size")
        return data

    def exactly(self, count: int) -> bytes:
        data = self.read(count)
        if len(data) != count:
            refuse("it is truncated")
        return data

    def drain(self) -> None:
        """To the stream's end, where the checksum of all of it stands."""
        while self.read(2**20):
            pass

    def skip(self, count: int) -> None:
        while count > 0:
            count -= len(self.exactly(min(count, 2**20)))


def members(file: BinaryIO, skip: Callable[[int], None]) -> Iterator[Member]:
    """Files and folders in order. The consumer may read a member's bytes; what it leaves is skipped here."""
    name: str | None = None
    size: int | None = None
    while (block := _header(file)) is not None:
        kind, length = block[156:157], _number(block[124:136]) if size is None else size
        if kind in (b"x", b"g", b"L"):
            body = _extended(file, length)
            skip(-length % _BLOCK)
            if kind == b"L":
                name = _text(body.rstrip(b"\0"))
            elif kind == b"x":
                name, size = _pax(body, name)
            continue
        if kind not in _REGULAR and kind != b"5":
            shown = ascii(name or _name(block))
            refuse(f"{shown} is a link, a device or a special file", member=shown)
        folder = kind == b"5" or (kind == b"\0" and _name(block).endswith("/"))
        length = 0 if kind == b"5" else length
        start = file.tell()
        yield Member(name or _name(block), length, start, folder)
        skip(start + length + (-length % _BLOCK) - file.tell())
        name, size = None, None


def _header(file: BinaryIO) -> bytes | None:
    """The next member's; None at the end. Tars that were joined one behind the other (`cat`) are read on: their members
    would be lost silently."""
    block, ended = file.read(_BLOCK), False
    while len(block) == _BLOCK and not block.strip(b"\0"):
        block, ended = file.read(_BLOCK), True
    whole = len(block) == _BLOCK
    if ended and not (whole and block[_MAGIC] == b"ustar"):
        return None
    # Also at a member's border: a tar ends with zero blocks, and one cut off there would lose images silently.
    if not whole:
        refuse("it is truncated")
    if sum(block[:148]) + sum(b" " * 8) + sum(block[156:]) != _number(block[148:156]):
        refuse("it is no tar file, or it is damaged (a header's checksum is wrong)")
    return block


def _number(field: bytes) -> int:
    """Octal digits, or GNU's base 256 marked by the first bit."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big") & ((1 << (8 * len(field) - 1)) - 1)
        if field[0] & 0x40:
            refuse("a header holds a negative number")
        return value
    digits = field.strip(b" \0")
    if digits and not all(character in b"01234567" for character in digits):
        refuse("a header holds something else than a number")
    return int(digits or b"0", 8)


def _name(block: bytes) -> str:
    name = block[:100].split(b"\0")[0]
    # ustar splits long names; GNU's own variant ("ustar  ") keeps other things in those bytes.
    prefix = block[345:500].split(b"\0")[0] if block[257:263] == b"ustar\0" else b""
    return _text(prefix + b"/" + name if prefix else name)


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _extended(file: BinaryIO, length: int) -> bytes:
    if length > _EXTENDED_BYTES:
        refuse(f"an extended header has {length:,} bytes")
    body = file.read(length)
    if len(body) != length:
        refuse("it is truncated")
    return body


def _pax(body: bytes, name: str | None) -> tuple[str | None, int | None]:
    """Records `length key=value newline`: path and size are used, sparse files refused, the rest means nothing here."""
    size: int | None = None
    while body:
        length, space, _ = body.partition(b" ")
        if not space or not length.isdigit() or len(length) > 6 or not 0 < int(length) <= len(body):
            refuse("an extended header is damaged")
        key, _, value = body[len(length) + 1 : int(length) - 1].partition(b"=")
        if key.startswith(b"GNU.sparse"):
            refuse("it holds sparse files")
        if key == b"path":
            name = _text(value)
        if key == b"size":
            size = _pax_size(value)
        body = body[int(length) :]
    return name, size


def _pax_size(value: bytes) -> int:
    if not value.isdigit() or len(value) > 18:
        refuse("an extended header holds a size that is no number")
    return int(value)
