"""Write a safetensors file from a stream of bytes, with flat memory and without the library."""

from __future__ import annotations

import json
from collections.abc import Mapping

from distill.safetensors_header import DTYPE_BYTES

Entry = tuple[str, tuple[int, ...], int, int]
"""dtype, shape, begin and end (bytes after the header)."""


def encode_header(entries: Mapping[str, Entry], metadata: Mapping[str, str] | None = None) -> bytes:
    """The file's first bytes: length, JSON, spaces up to a multiple of 8 so that the tensors are aligned."""
    table: dict[str, object] = {"__metadata__": {"format": "pt", **(metadata or {})}}
    for name, (dtype, shape, begin, end) in entries.items():
        table[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(table, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def lay_out(tensors: Mapping[str, tuple[str, tuple[int, ...], int]]) -> dict[str, Entry]:
    """Entries for name -> (dtype, shape, bytes), in writing order: wide elements first, so that all are aligned."""
    order = sorted(tensors, key=lambda name: (-DTYPE_BYTES[tensors[name][0]], name))
    entries, end = {}, 0
    for name in order:
        dtype, shape, size = tensors[name]
        entries[name] = (dtype, shape, end, end + size)
        end += size
    return entries
