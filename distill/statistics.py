"""Intervals for shares, and for the difference of two networks on the same samples."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

Z95 = 1.959963984540054  # two-sided 95 % of the normal distribution


@dataclass(frozen=True, slots=True)
class Share:
    """A share of n samples with its 95 % Wilson interval, all in [0, 1]."""

    value: float
    n: int
    low: float
    high: float

    def to_dict(self) -> dict[str, float | int]:
        return asdict(self)


def wilson(successes: int, n: int) -> Share:
    """Wilson (1927) score interval: (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n), p = successes / n.

    Right also near 0 and 1, where p +- z sqrt(p(1-p)/n) is not. n = 0 gives value 0 in [0, 1].
    """
    if n == 0:
        return Share(0.0, 0, 0.0, 1.0)
    p, scale = successes / n, 1 + Z95**2 / n
    centre = (p + Z95**2 / (2 * n)) / scale
    half = Z95 / scale * math.sqrt(p * (1 - p) / n + Z95**2 / (4 * n * n))
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n else centre + half
    return Share(p, n, low, high)


@dataclass(frozen=True, slots=True)
class Difference:
    """accuracy(first) - accuracy(second) on the same n samples, with a 95 % interval; `clear` if it excludes 0."""

    value: float
    low: float
    high: float
    n: int

    @property
    def clear(self) -> bool:
        return self.low > 0 or self.high < 0

    def to_dict(self) -> dict[str, float | int | bool]:
        return asdict(self) | {"clear": self.clear}


def paired_difference(only_first: int, only_second: int, n: int) -> Difference:
    """Of n samples `only_first` are right for the first network alone, `only_second` for the second alone.

    d = (b - c) / n with standard error sqrt(b + c - (b - c)^2 / n) / n, the paired (McNemar) one; it says how far
    other test samples would move d, not how far other seeds would.
    """
    d = (only_first - only_second) / n
    error = math.sqrt(max(only_first + only_second - (only_first - only_second) ** 2 / n, 0.0)) / n
    return Difference(d, d - Z95 * error, d + Z95 * error, n)
