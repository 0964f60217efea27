"""What a teacher was sent as where that was no single safetensors file: `Teacher.source`.

{"files": [{filename, object_key, size_bytes, sha256}], "notes": [...], "isolation": "..."}; the last two are the
converter's. The files' objects are removed once their conversion is stored.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from store.tables import Json

#: Shards refer to each other by name, so a worker writes them under the names that the client gave.
FILENAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file as it was sent."""

    filename: str
    object_key: str
    size_bytes: int
    sha256: str


def to_json(files: Sequence[SourceFile], **facts: Any) -> Json:
    return {"files": [asdict(file) for file in files]} | facts


def files_of(source: Json | None) -> list[SourceFile]:
    """Empty for a teacher that came as safetensors."""
    return [SourceFile(**file) for file in (source or {"files": []})["files"]]


def stored(source: Json | None) -> list[SourceFile]:
    """Those that are objects of the store: what a worker fetched from a hub never is."""
    return [file for file in files_of(source) if file.object_key]


def digest(files: Sequence[SourceFile]) -> str:
    """A single file's sha256; of several, the sha256 over their names and sha256s in order of names."""
    if len(files) == 1:
        return files[0].sha256
    lines = "".join(f"{file.filename} {file.sha256}\n" for file in sorted(files, key=lambda file: file.filename))
    return hashlib.sha256(lines.encode()).hexdigest()
