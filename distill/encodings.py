"""Encodings of text other than UTF-8, by a file's first bytes, and what to do about them. No imports of ours, so that
what takes uploads and what reads them say the same."""

from __future__ import annotations

import codecs
import re

WIDE = {codecs.BOM_UTF32_LE: "UTF-32", codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16"}
WINDOWS = "CP1252"
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_UNDEFINED = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")  # what code page 1252 has no character for


def remedy(encoding: str) -> str:
    """How a file in this encoding becomes UTF-8."""
    convert = f"iconv -f {encoding} -t UTF-8 OLD > NEW"
    guessed = "; name another, such as SHIFT_JIS, where the text is not Western" if encoding == WINDOWS else ""
    return f"Save it as UTF-8 (Excel: the file type 'CSV UTF-8'; or: {convert}{guessed}) and upload it again."


def marked(head: bytes) -> str | None:
    """UTF-16 or UTF-32, where a byte order mark says so."""
    return next((encoding for mark, encoding in WIDE.items() if head.startswith(mark)), None)


def other_encoding(head: bytes) -> str | None:
    """The encoding of a file that begins so, where it is text and not UTF-8; None for UTF-8 and for what is no text. A
    character that the head's end may have split is let go."""
    if found := marked(head):
        return found
    if len(head) > 3 and (not any(head[1:64:2]) or not any(head[:64:2])) and any(head[:64]):
        return "UTF-16"
    if _CONTROL.search(head) or _UNDEFINED.search(head) or is_utf8(head):
        return None
    return WINDOWS


def is_utf8(head: bytes) -> bool:
    """Whether a file that begins so may be UTF-8: a character that the head's end has split counts as one."""
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data" and error.start > len(head) - 4
    return True
