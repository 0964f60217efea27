"""What an index says of images, so that nobody need look at them again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import overload

import numpy as np
from numpy.typing import NDArray

DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True)
class Known:
    """Of n images: `sizes` (n, 2), (height, width), and `gray` (n); `digests` (n, 32) uint8, sha256 of each; `groups`
    (n): what is read together has one number; `lots` (n) in [0, 1), drawn by a hash of each sample's key; `readable`
    (n), of those that are not the `reasons` (n), else ""; `decoded` (n): looked at whole; `peaks` (n): the largest
    value of an image of 16 bits, -1 of others."""

    sizes: NDArray[np.int64]
    gray: NDArray[np.bool_]
    digests: NDArray[np.uint8]
    groups: NDArray[np.int64]
    lots: NDArray[np.float64]
    readable: NDArray[np.bool_]
    reasons: NDArray[np.object_]
    decoded: NDArray[np.bool_]
    peaks: NDArray[np.int64]

    def pick(self, indices: NDArray[np.int64]) -> Known:
        return Known(*(getattr(self, each.name)[indices] for each in fields(self)))


class Digests(Sequence[bytes]):
    """The rows of an array (n, 32), uint8, one digest each: 32 bytes a sample, where a list has three times that."""

    def __init__(self, rows: NDArray[np.uint8]) -> None:
        self.rows = rows

    @classmethod
    def of(cls, digests: Sequence[bytes]) -> Digests:
        return cls(np.frombuffer(b"".join(digests), np.uint8).reshape(-1, DIGEST_BYTES))

    def pick(self, indices: NDArray[np.int64]) -> Digests:
        return Digests(self.rows[indices])

    def joined(self) -> bytes:
        """All of them, one after the other."""
        return self.rows.tobytes()

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, i: int) -> bytes: ...
    @overload
    def __getitem__(self, i: slice) -> Digests: ...
    def __getitem__(self, i: int | slice) -> bytes | Digests:
        return Digests(self.rows[i]) if isinstance(i, slice) else self.rows[i].tobytes()
