"""Files of an archive or a folder, as far as their paths and first bytes tell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from distill.data.members import Parts
from distill.data.rows import FORMS

_JUNK = frozenset({"__MACOSX", "Thumbs.db", "desktop.ini"})


@dataclass(frozen=True, slots=True)
class File:
    """A file's path, the position by which its source knows it (-1: not at all), and whether it is an image."""

    parts: Parts
    position: int
    image: bool

    def below(self, depth: int) -> File:
        """The same file as seen from a folder that many levels down its path."""
        return File(self.parts[depth:], self.position, self.image)

    @property
    def is_table(self) -> bool:
        return PurePosixPath(self.parts[-1]).suffix.lower() in FORMS


def is_junk(parts: Parts) -> bool:
    """Hidden files, and what archivers add."""
    return any(part.startswith(".") or part in _JUNK for part in parts)
