"""Strict reading of a zip container: what every reader would understand the same way, or nothing.

Two readers that disagree about one file (ours and torch's) are how a check is got round; so no comment, no prefix, no
overlap, no second entry of a name, and local headers that repeat the central directory.
"""

from __future__ import annotations

import stat
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from worker.converter.limits import ConverterLimits
from worker.converter.refusal import refuse, shown

_END, _END64, _LOCATOR64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_LOCAL = struct.Struct("<4s5H3L2H")
_DIRECTORY_ENTRY_BYTES = 46
_ENCRYPTED, _DESCRIPTOR = 0x1, 0x8


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file of the container: its name, unpacked bytes, and where its packed bytes start in the container."""

    name: str
    bytes: int
    offset: int
    info: zipfile.ZipInfo


def read_members(path: Path, limits: ConverterLimits, *, stored_only: bool) -> dict[str, Member]:
    """The container's regular files by name, in file order; folders are left out. Raises `InvalidTeacher`.

    `stored_only`: compression is refused (torch never compresses), else deflate up to `limits.ratio` is taken.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        directory = _check_end(file, size, limits)
        try:
            with zipfile.ZipFile(file) as archive:
                infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
        except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, struct.error) as error:
            refuse(f"its zip directory cannot be read ({type(error).__name__})")
        _check_names(infos)
        for info in infos:
            _check_entry(info, stored_only, limits)
        members = _check_layout(file, infos, directory)
    return {member.name: member for member in members if not member.info.is_dir()}


def _check_end(file: BinaryIO, size: int, limits: ConverterLimits) -> int:
    """Offset of the central directory, after its size and count were checked: zipfile reads it whole."""
    if size < 22:
        refuse("it is truncated", bytes=size)
    file.seek(size - 22)
    end = struct.unpack("<4s4H2LH", file.read(22))
    if end[0] != _END or end[7] != 0:
        refuse("it is no complete zip file, or something follows it")
    count, length, offset, expected = int(end[4]), int(end[5]), int(end[6]), size - 22
    if size >= 98 and (wide := _wide_end(file, size)) is not None:
        count, length, offset, expected = wide
    if not 0 < count <= limits.members or length > limits.members * (_DIRECTORY_ENTRY_BYTES + limits.name_length):
        refuse(f"its zip directory has {count} entries in {length} bytes", entries=count)
    if offset + length != expected:
        refuse("its zip directory is not where its end says")
    return offset


def _wide_end(file: BinaryIO, size: int) -> tuple[int, int, int, int] | None:
    """(entries, bytes, offset, where it must end) of a zip64 directory."""
    file.seek(size - 42)
    signature, _, offset, disks = struct.unpack("<4sLQL", file.read(20))
    if signature != _LOCATOR64:
        return None
    if offset > size - 98 or disks > 1:
        refuse("its zip64 directory is not where its end says")
    file.seek(offset)
    record = struct.unpack("<4sQ2H2L4Q", file.read(56))
    if record[0] != _END64 or offset + 12 + record[1] != size - 42:
        refuse("its zip64 directory is damaged")
    return record[7], record[8], record[9], offset


def _check_names(infos: list[zipfile.ZipInfo]) -> None:
    seen: set[str] = set()
    for info in infos:
        name = info.filename
        parts = PurePosixPath(name).parts
        if not name or name.startswith("/") or "\\" in name or ".." in parts or not name.isprintable():
            refuse(f"its member {shown(name)} has an unsafe name", member=shown(name))
        if info.orig_filename != name or name.rstrip("/") in seen:
            refuse(f"its member {shown(name)} is named twice", member=shown(name))
        seen.add(name.rstrip("/"))


def _check_entry(info: zipfile.ZipInfo, stored_only: bool, limits: ConverterLimits) -> None:
    name, kind = shown(info.filename), stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        refuse(f"its member {name} is a link or a device", member=name)
    if info.flag_bits & _ENCRYPTED:
        refuse(f"its member {name} is encrypted", member=name)
    stored = info.compress_type == zipfile.ZIP_STORED
    if not stored and (stored_only or info.compress_type != zipfile.ZIP_DEFLATED):
        refuse(f"its member {name} is compressed, which torch.save never does", member=name)
    if stored and info.file_size != info.compress_size:
        refuse(f"its member {name} has two sizes", member=name)
    if info.file_size > limits.ratio * info.compress_size + 4096:
        refuse(f"its member {name} unpacks to more than {limits.ratio:g} times its size", member=name)


def _check_layout(file: BinaryIO, infos: list[zipfile.ZipInfo], directory: int) -> list[Member]:
    """Members one after the other, from byte 0 up to the directory, without overlap."""
    members, end = [], 0
    for info in infos:
        if info.header_offset < end or (end == 0 and info.header_offset != 0):
            refuse(f"its member {shown(info.filename)} overlaps another or does not start the file")
        start = _data_start(file, info)
        members.append(Member(info.filename, info.file_size, start, info))
        end = start + info.compress_size
    if end > directory:
        refuse("its last member overlaps the zip directory")
    return members


def _data_start(file: BinaryIO, info: zipfile.ZipInfo) -> int:
    file.seek(info.header_offset)
    raw = file.read(_LOCAL.size)
    if len(raw) < _LOCAL.size:
        refuse("it is truncated within a member")
    signature, _, flags, method, _, _, _, packed, unpacked, name_length, extra_length = _LOCAL.unpack(raw)
    name = file.read(name_length)
    matches = signature == b"PK\x03\x04" and method == info.compress_type and flags == info.flag_bits
    sizes = {(packed, unpacked)} <= {(info.compress_size, info.file_size), (0xFFFFFFFF, 0xFFFFFFFF)}
    # A descriptor after the data carries the sizes then; the directory's are the ones that both readers use.
    sizes = sizes or bool(flags & _DESCRIPTOR and (packed, unpacked) == (0, 0))
    if not (matches and sizes and name == _raw_name(info)):
        refuse(f"its member {shown(info.filename)} is described twice, differently")
    return info.header_offset + _LOCAL.size + int(name_length) + int(extra_length)


def _raw_name(info: zipfile.ZipInfo) -> bytes:
    return info.orig_filename.encode("utf-8" if info.flag_bits & 0x800 else "cp437")


def open_member(archive: zipfile.ZipFile, member: Member) -> BinaryIO:
    """The member's bytes as a stream; more than it declares never come, fewer raise `zipfile.BadZipFile`."""
    return archive.open(member.info)  # type: ignore[return-value]


def is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"
