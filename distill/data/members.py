"""The gate that every member of an archive passes: safe path, fresh name, within the caps."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import NoReturn

from distill.data.limits import Limits
from distill.errors import InvalidDataset

Parts = tuple[str, ...]
_DRIVE = re.compile(r"^[A-Za-z]:")
REMEDY = "Pack plain image files in class folders (train/<class>/<image> or <class>/<image>) and upload them again."


def refuse(what: str, **details: object) -> NoReturn:
    raise InvalidDataset(f"The archive was refused: {what}.", REMEDY, details)


def safe_parts(name: str, limits: Limits) -> Parts:
    """The member's path below the archive's root, composed (NFC): macOS writes names decomposed, tables hold them
    composed. Refuses absolute paths, drives, `..`, backslashes and control characters; drops `.` and empty parts."""
    name = unicodedata.normalize("NFC", name)
    shown = ascii(name[:200])
    if "\\" in name or name.startswith("/") or _DRIVE.match(name):
        refuse(f"{shown} is an absolute path, or one of another system", member=shown)
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        refuse(f"{shown} holds control characters", member=shown)
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in parts:
        refuse(f"{shown} climbs out of the archive", member=shown)
    if len(name) > limits.path_length or len(parts) > limits.path_depth:
        refuse(f"the path {shown} is too long or too deep", member=shown)
    return parts


@dataclass
class Gate:
    """Counts what has been admitted. `packed_bytes` is the archive's own size on disk."""

    limits: Limits
    packed_bytes: int
    files: int = 0
    total: int = 0
    _seen: set[str] = field(default_factory=set)
    _folders: set[str] = field(default_factory=set)

    def folder(self, name: str) -> Parts:
        self._count(name)
        return safe_parts(name, self.limits)

    def file(self, name: str, size: int, packed: int | None = None) -> Parts:
        """Admit a regular file of `size` bytes (`packed` in the archive, where known)."""
        self._count(name)
        parts = safe_parts(name, self.limits)
        shown = ascii(name[:200])
        if not parts:
            refuse(f"the file name {shown} is empty", member=shown)
        most = self.limits.json_bytes if parts[-1].lower().endswith(".json") else self.limits.file_bytes
        if size > most:
            refuse(f"{shown} has {size:,} bytes, more than {most:,}", member=shown, bytes=size)
        if packed is not None and size > self.limits.ratio_free_bytes and size > self.limits.ratio * max(packed, 1):
            refuse(f"{shown} unpacks to more than {self.limits.ratio:g} times its size", member=shown)
        self._fresh(parts, shown)
        self._add(size)
        return parts

    def _count(self, name: str) -> None:
        self.files += 1
        if self.files > self.limits.members:
            refuse(f"it has more than {self.limits.members:,} members", member=ascii(name[:200]))

    def _fresh(self, parts: Parts, shown: str) -> None:
        # On some file systems Cat.png and cat.png are one file; an archive that needs both is a trick or an accident.
        key = "/".join(parts).casefold()
        if key in self._seen:
            self.twice(parts, shown)
        self._seen.add(key)

    def twice(self, parts: Parts, shown: str) -> NoReturn:
        """Raise `InvalidDataset` for a path that an earlier member has."""
        refuse(f"{shown} is there twice (upper and lower case count as one)", member=shown)

    def _add(self, size: int) -> None:
        self.total += size
        if self.total > self.limits.total_bytes:
            refuse(f"it unpacks to more than {self.limits.total_bytes:,} bytes")
        if self.total > self.limits.ratio_free_bytes and self.total > self.limits.ratio * max(self.packed_bytes, 1):
            refuse(f"it unpacks to more than {self.limits.ratio:g} times its size", ratio=self.limits.ratio)
