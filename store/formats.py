"""What a dataset's file is, by its content: names and media types lie. The API looks at uploads, workers at what they
fetch."""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import Literal

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
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_UTF8_MARK = b"\xef\xbb\xbf"
_WIDE = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}


def detect(path: Path) -> Format | None:
    """`classify` of a file."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        file.seek(-TAIL_BYTES, 2) if file.seek(0, 2) >= TAIL_BYTES else None
        return classify(head, file.read(TAIL_BYTES))


def classify(head: bytes, tail: bytes) -> Format | None:
    """The format of a file with these first and last bytes, or None for none that we take. Of what gzip has packed, the
    beginning is unpacked: a table, or else taken for a tar. A table is text that begins with an object, an array of
    objects, or a line that has a delimiter in it; text in another encoding than UTF-8 is taken too, for the inspection
    says what to do about it."""
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
    """The beginning as text, in UTF-8 or else as Windows reads it; None for what is none."""
    for mark, encoding in _WIDE.items():
        if head.startswith(mark):
            return head[len(mark) :].decode(encoding, errors="ignore")
    if len(head) > 3 and (not any(head[1:64:2]) or not any(head[0:64:2])):  # UTF-16 without a mark
        return head.decode("utf-16-le" if not any(head[1:64:2]) else "utf-16-be", errors="ignore")
    if _CONTROL.search(head):
        return None
    text = head.removeprefix(_UTF8_MARK).decode("utf-8", errors="replace")
    return text if "\ufffd" not in text[:-3] else head.decode("cp1252", errors="replace")
