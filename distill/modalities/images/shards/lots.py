"""A number of each sample that its key alone decides: what is held out of a set that grows stays held out."""

from __future__ import annotations

import hashlib

SALT = b"retort lot 1\n"
TEST_SALT = b"retort test 1\n"


def lot(key: str, salt: bytes = SALT) -> float:
    """A number in [0, 1) that the key alone decides: its sha256's first 53 bits, as a fraction."""
    return (int.from_bytes(hashlib.sha256(salt + key.encode()).digest()[:8], "big") >> 11) / 2**53
