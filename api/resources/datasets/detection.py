"""What a dataset's file is, by its content: names and media types lie."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Format = Literal["zip", "tar", "parquet"]
KINDS: dict[Format, Literal["archive", "parquet"]] = {"zip": "archive", "tar": "archive", "parquet": "parquet"}
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00")
_TAR_MAGIC_AT = 257


def detect(path: Path) -> Format | None:
    """The format of the file, or None for none that we take. A tar may be compressed with gzip, bzip2 or xz."""
    with path.open("rb") as file:
        head = file.read(512)
        file.seek(-4, 2) if file.seek(0, 2) >= 4 else None
        tail = file.read(4)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if head.startswith(b"PAR1") and tail == b"PAR1":
        return "parquet"
    if head.startswith(_COMPRESSED) or head[_TAR_MAGIC_AT : _TAR_MAGIC_AT + 5] == b"ustar":
        return "tar"
    return None
