"""Which kind of checkpoint a file is, by its first bytes. Standard library only: the API and the converter ask."""

from __future__ import annotations

from typing import Literal

from distill.safetensors_header import DEFAULT_LIMITS

HEAD_BYTES = 512
Container = Literal["safetensors", "zip", "pickle", "tar"]


def container(head: bytes) -> Container | None:
    """The container that `head`, the file's first `HEAD_BYTES` (or all of it), begins; None for anything else.

    A safetensors file begins with its header's length, whose bytes can be those of any magic number; its ninth byte
    is the header's brace, and none of the others is one.
    """
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= DEFAULT_LIMITS.header_bytes:
        return "safetensors"
    if head.startswith(b"PK\x03\x04"):
        return "zip"
    if head.startswith(b"\x80"):  # the PROTO opcode
        return "pickle"
    return "tar" if head.startswith(b"\x1f\x8b") or head[257:262] == b"ustar" else None
