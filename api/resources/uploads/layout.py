"""How a file is cut into parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from store.objects import Part

MAX_PARTS = 10_000  # of S3
MIB = 1 << 20


@dataclass(frozen=True)
class Layout:
    """`size_bytes` in parts of `part_bytes`, the last one shorter. Numbers begin at 1."""

    size_bytes: int
    part_bytes: int

    @property
    def count(self) -> int:
        return -(-self.size_bytes // self.part_bytes)

    def offset(self, number: int) -> int:
        return (number - 1) * self.part_bytes

    def size(self, number: int) -> int:
        return min(self.part_bytes, self.size_bytes - self.offset(number))

    def complete(self, arrived: Iterable[Part]) -> set[int]:
        """Numbers of the parts that have arrived with the size that they must have."""
        return {part.number for part in arrived if self._fits(part)}

    def missing(self, arrived: Iterable[Part]) -> Iterator[int]:
        here = self.complete(arrived)
        return (number for number in range(1, self.count + 1) if number not in here)

    def _fits(self, part: Part) -> bool:
        return 1 <= part.number <= self.count and part.size_bytes == self.size(part.number)


def layout(size_bytes: int, part_bytes: int) -> Layout:
    """Parts of `part_bytes`, or of as many whole MiB as keep them to `MAX_PARTS`."""
    least = -(-size_bytes // MAX_PARTS)
    return Layout(size_bytes, part_bytes if part_bytes >= least else -(-least // MIB) * MIB)
