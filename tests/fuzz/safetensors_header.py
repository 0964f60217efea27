"""`python tests/fuzz/safetensors_header.py -max_total_time=60`: the header validator."""

from __future__ import annotations

import io
import json

from harness import fuzz

from distill.safetensors_header import parse_header


def seed(table: dict[str, object], data: bytes) -> bytes:
    text = json.dumps(table).encode()
    return len(text).to_bytes(8, "little") + text + data


SEEDS = [
    seed({"a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}, bytes(24)),
    seed(
        {
            "__metadata__": {"format": "pt"},
            "a": {"dtype": "U8", "shape": [], "data_offsets": [0, 1]},
            "b": {"dtype": "F64", "shape": [0, 5], "data_offsets": [1, 1]},
        },
        b"x",
    ),
    seed({"\u00e9\ud83d\ude00": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}, b"xx"),
    b"PK\x03\x04" + bytes(20),
]

if __name__ == "__main__":
    fuzz(lambda data: parse_header(io.BytesIO(data), len(data)), SEEDS)
