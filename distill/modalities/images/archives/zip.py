"""The member loop for zip files: everything is judged from the central directory, nothing is unpacked."""

from __future__ import annotations

import stat
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from distill.data.limits import Limits
from distill.data.members import Gate, Parts, refuse
from distill.errors import InvalidDataset
from distill.modalities.images.formats import HEAD_BYTES, is_image
from distill.modalities.images.paths import File
from distill.modalities.images.sources import Source, ZipImages

_END = b"PK\x05\x06"
_UTF8, _UNICODE_PATH = 0x800, 0x7075
_PACKED_HEAD = 1024  # what unpacks to the first bytes of any image
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})


class ZipMembers:
    """Admitted files and folders of the zip at `path`; `source` makes images of some of the files."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path, self.files, self.folders = path, list[File](), list[Parts]()
        self._names: list[str] = []
        _check_directory(path, limits)
        try:
            with zipfile.ZipFile(path) as archive, path.open("rb") as file:
                self._admit(archive, file, Gate(limits, path.stat().st_size))
        except InvalidDataset:
            raise
        except Exception as error:  # zipfile raises nearly anything on damaged directories, IndexError included
            refuse(f"it is no readable zip file ({type(error).__name__}: {error})")

    def source(self, positions: list[int]) -> Source:
        return ZipImages(self.path, [self._names[i] for i in positions])

    def name(self, position: int) -> str:
        """The member's name as `zipfile` knows it."""
        return self._names[position]

    def _admit(self, archive: zipfile.ZipFile, file: BinaryIO, gate: Gate) -> None:
        for info in archive.infolist():
            name = _written(info)
            if info.is_dir():
                self.folders.append(gate.folder(name))
                continue
            _check_plain(info)
            parts = gate.file(name, info.file_size, info.compress_size)
            image = is_image(parts[-1], lambda info=info: _head(file, info))  # type: ignore[misc]
            self.files.append(File(parts, len(self._names), image))
            self._names.append(info.filename)
        packed = sum(info.compress_size for info in archive.infolist())
        if packed > gate.packed_bytes:
            refuse("its members overlap")


def _head(file: BinaryIO, info: zipfile.ZipInfo) -> bytes:
    """A member's first bytes; nothing where they cannot be unpacked. `zipfile` would take 0.2 ms a member to open it,
    ten times as long, and an archive may have millions that are no images."""
    local = _at(file, info.header_offset, 30)
    if local[:4] != b"PK\3\4":
        return b""
    skip = int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little")
    packed = _at(file, info.header_offset + 30 + skip, min(info.compress_size, _PACKED_HEAD))
    if info.compress_type == zipfile.ZIP_STORED:
        return packed[:HEAD_BYTES]
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, HEAD_BYTES)
    except zlib.error:
        return b""


def _written(info: zipfile.ZipInfo) -> str:
    """The member's name as its archiver meant it. `zipfile` reads names that are not flagged as UTF-8 as code page 437;
    many hold UTF-8 all the same, or carry it in the extra field 0x7075 (APPNOTE 4.6.9)."""
    if info.flag_bits & _UTF8:
        return info.orig_filename
    raw = info.orig_filename.encode("cp437")
    with suppress(UnicodeDecodeError):
        return (_unicode_path(info.extra, zlib.crc32(raw)) or raw).decode()
    return info.orig_filename


def _unicode_path(extra: bytes, crc: int) -> bytes | None:
    """The name in the extra field, where it belongs to the name of this checksum: tools may have changed that since."""
    while len(extra) >= 4:
        kind, size = int.from_bytes(extra[:2], "little"), int.from_bytes(extra[2:4], "little")
        content, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == _UNICODE_PATH and content[:1] == b"\1" and content[1:5] == crc.to_bytes(4, "little"):
            return content[5:]
    return None


def _check_plain(info: zipfile.ZipInfo) -> None:
    shown = ascii(info.orig_filename[:200])
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        refuse(f"{shown} is a link or a device", member=shown)
    if info.flag_bits & 0x1:
        refuse(f"{shown} is encrypted", member=shown)
    if info.compress_type not in _METHODS:
        refuse(f"{shown} uses compression method {info.compress_type}; store or deflate it", member=shown)


def _check_directory(path: Path, limits: Limits) -> None:
    """Refuse a central directory beyond the cap before `zipfile` reads it whole into memory."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 65_557))  # the end record: 22 bytes and a comment of at most 65,535
        tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < 22:
        refuse("it is no zip file, or it is truncated")
    # The largest of what it may be: `zipfile` believes a ZIP64 record whatever the end record says, and Python's
    # versions look for it in different places.
    directory = max(_directories(path, size - len(tail) + at, tail[at + 12 : at + 16]), default=None)
    if directory is None:
        refuse("its ZIP64 directory cannot be found")
    if directory > limits.directory_bytes:
        refuse(f"its directory has {directory:,} bytes", bytes=directory)


def _directories(path: Path, end: int, field: bytes) -> list[int]:
    """Sizes that the end record at `end` (by its `field`) and ZIP64 records give the central directory. The locator
    stands 20 bytes before the end record, and its record 56 bytes before that, or where it says."""
    small = int.from_bytes(field, "little")
    sizes = [] if small == 0xFFFFFFFF else [small]
    with path.open("rb") as file:
        locator = _at(file, end - 20, 20)
        if locator[:4] == b"PK\x06\x07":
            places = (end - 76, min(int.from_bytes(locator[8:16], "little"), end))
            records = [_at(file, place, 56) for place in places]
            sizes += [int.from_bytes(record[40:48], "little") for record in records if record[:4] == b"PK\x06\x06"]
    return sizes


def _at(file: BinaryIO, place: int, count: int) -> bytes:
    file.seek(max(0, place))
    return file.read(count)
