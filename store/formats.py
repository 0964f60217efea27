"""What a dataset's file is, by its content: names and media types lie. The API looks at uploads, workers at what they
fetch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Format = Literal["zip", "tar", "parquet", "csv", "jsonl"]
Kind = Literal["archive", "parquet", "table"]
KINDS: dict[Format, Kind] = {
    "zip": "archive",
    "tar": "archive",
    "parquet": "parquet",
    "csv": "table",
    "jsonl": "table",
}
KNOWN = "zip, tar, tar.gz, parquet, CSV or JSON Lines"
HEAD_BYTES, TAIL_BYTES = 4096, 4
_GZIP = b"\x1f\x8b"
_TAR_MAGIC_AT = 257
_DELIMITERS = ",;\t"


def detect(path: Path) -> Format | None:
    """`classify` of a file."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        file.seek(-TAIL_BYTES, 2) if file.seek(0, 2) >= TAIL_BYTES else None
        return classify(head, file.read(TAIL_BYTES))


def classify(head: bytes, tail: bytes) -> Format | None:
    """The format of a file with these first and last bytes, or None for none that we take. What gzip has packed is
    taken for a tar. A table is UTF-8 that begins with an object, or with a line that has a delimiter in it."""
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if head.startswith(b"PAR1") and tail == b"PAR1":
        return "parquet"
    if head.startswith(_GZIP) or head[_TAR_MAGIC_AT : _TAR_MAGIC_AT + 5] == b"ustar":
        return "tar"
    return _table(head)


def _table(head: bytes) -> Format | None:
    text = _text(head)
    if text is None:
        return None
    if text.lstrip().startswith("{"):
        return "jsonl"
    header = text.partition("\n")[0]
    return "csv" if any(delimiter in header for delimiter in _DELIMITERS) else None


def _text(head: bytes) -> str | None:
    """The beginning as text; a character that the cut has split is let go. None for what is none."""
    if b"\0" in head:
        return None
    try:
        return head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        cut = len(head) == HEAD_BYTES and error.start > len(head) - 4
        return head[: error.start].decode("utf-8-sig") if cut else None
