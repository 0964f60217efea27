"""What a dataset's file is, by its content: names and media types lie."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Format = Literal["zip", "tar", "parquet"]
KINDS: dict[Format, Literal["archive", "parquet"]] = {"zip": "archive", "tar": "archive", "parquet": "parquet"}
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00")
_TAR_MAGIC_AT = 257
HEAD_BYTES, TAIL_BYTES = 512, 4


def detect(path: Path) -> Format | None:
    """`classify` of a file."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        file.seek(-TAIL_BYTES, 2) if file.seek(0, 2) >= TAIL_BYTES else None
        return classify(head, file.read(TAIL_BYTES))


def classify(head: bytes, tail: bytes) -> Format | None:
    """The format of a file with these first and last bytes, or None for none that we take. A tar may be compressed
    with gzip, bzip2 or xz."""
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if head.startswith(b"PAR1") and tail == b"PAR1":
        return "parquet"
    if head.startswith(_COMPRESSED) or head[_TAR_MAGIC_AT : _TAR_MAGIC_AT + 5] == b"ustar":
        return "tar"
    return None
