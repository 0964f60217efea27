"""What a dataset's file is, by its content: names and media types lie. The API looks at uploads, workers at what they
fetch."""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import Literal

from distill.encodings import is_utf8, other_encoding, remedy

Format = Literal["zip", "tar", "parquet", "csv", "jsonl", "json"]
Kind = Literal["archive", "parquet", "table"]
KINDS: dict[Format, Kind] = {
    "zip": "archive",
    "tar": "archive",
    "parquet": "parquet",
    "csv": "table",
    "jsonl": "table",
    "json": "table",
}
KNOWN = "zip, tar, tar.gz, parquet, CSV, JSON Lines or a JSON array (tables also as .gz)"
HEAD_BYTES, TAIL_BYTES = 4096, 4
_GZIP = b"\x1f\x8b"
_TAR_MAGIC_AT = 257
_DELIMITERS = ",;\t"
_ARRAY = re.compile(r"\s*\[\s*[{\]]")
_UTF8_MARK = b"\xef\xbb\xbf"


def detect(path: Path) -> Format | None:
    """`classify` of a file."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        file.seek(-TAIL_BYTES, 2) if file.seek(0, 2) >= TAIL_BYTES else None
        return classify(head, file.read(TAIL_BYTES))


def head_of(path: Path) -> bytes:
    """A file's first bytes, for `why_not`."""
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def classify(head: bytes, tail: bytes) -> Format | None:
    """The format of a file with these first and last bytes, or None for none that we take. Of what gzip has packed, the
    beginning is unpacked: a table, or else taken for a tar. A table is UTF-8 that begins with an object, an array of
    objects, or a line that has a delimiter in it."""
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if head.startswith(b"PAR1") and tail == b"PAR1":
        return "parquet"
    if head.startswith(_GZIP):
        inner = _unpacked(head)
        return "tar" if _is_tar(inner) else _table(inner) or "tar"
    return "tar" if _is_tar(head) else _table(head)


def _is_tar(head: bytes) -> bool:
    return head[_TAR_MAGIC_AT : _TAR_MAGIC_AT + 5] == b"ustar"


def _unpacked(head: bytes) -> bytes:
    """The first `HEAD_BYTES` that gzip has packed into this beginning; nothing where it is damaged."""
    try:
        return zlib.decompressobj(wbits=31).decompress(head, HEAD_BYTES)
    except zlib.error:
        return b""


def _table(head: bytes) -> Format | None:
    text = _text(head)
    if text is None:
        return None
    if _ARRAY.match(text):
        return "json"
    if text.lstrip().startswith("{"):
        return "jsonl"
    header = text.partition("\n")[0]
    return "csv" if any(delimiter in header for delimiter in _DELIMITERS) else None


def _text(head: bytes) -> str | None:
    """The beginning as text; a character that the cut has split is let go. None for what is none."""
    if b"\0" in head or not is_utf8(head):
        return None
    return head.removeprefix(_UTF8_MARK).decode("utf-8", errors="ignore")


def why_not(head: bytes) -> tuple[str, str]:
    """What a file is of which `classify` knows no format, and the remedy."""
    if encoding := other_encoding(head):
        return f"is text in {encoding}, not in UTF-8", remedy(encoding)
    return f"is not {KNOWN}", "Send one of these (docs/datasets.md)."
