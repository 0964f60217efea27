"""Shards in parts that several processes read at the same time: a part is some shards in a row."""

from __future__ import annotations

from collections.abc import Sequence

Span = tuple[int, int]
"""Numbers of the first shard, and of the one behind the last."""
UNKNOWN_BYTES = 128 * 2**20
"""What a shard counts as whose size nobody knows before it was read."""


def spans(sizes: Sequence[int], part_bytes: int, most: int) -> list[Span]:
    """All shards, of `sizes` bytes, in parts of about `part_bytes`: a part ends with the shard that fills it. Of more
    bytes than `most` such parts hold, the parts are larger."""
    enough = max(part_bytes, -(-sum(sizes) // most), 1)
    found: list[Span] = []
    first = held = 0
    for number, size in enumerate(sizes):
        held += size
        if held >= enough:
            found.append((first, number + 1))
            first, held = number + 1, 0
    if first < len(sizes):
        found.append((first, len(sizes)))
    return found
