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
    """accuracy(first) - accuracy(second) on the same n samples, with a 95 % interval. `clear`: the interval excludes 0,
    and the exact test does too."""

    value: float
    low: float
    high: float
    n: int
    clear: bool

    def to_dict(self) -> dict[str, float | int | bool]:
        return asdict(self)


def paired_difference(only_first: int, only_second: int, n: int) -> Difference:
    """Of n samples `only_first` (b) are right for the first network alone, `only_second` (c) for the second alone.

    value = (b - c) / n; the interval is that of Bonett and Price (2012), right also for few samples:

        d +- z sqrt((p + q - d^2) / (n + 2)),  p = (b + 1) / (n + 2),  q = (c + 1) / (n + 2),  d = p - q

    cut at -1 and 1. It says how far other test samples would move the value, not how far other seeds would.
    """
    p, q = (only_first + 1) / (n + 2), (only_second + 1) / (n + 2)
    d = p - q
    half = Z95 * math.sqrt((p + q - d * d) / (n + 2))
    low, high = max(-1.0, d - half), min(1.0, d + half)
    clear = (low > 0 or high < 0) and mcnemar(only_first, only_second) < 0.05
    return Difference((only_first - only_second) / n, low, high, n, clear)


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided p of McNemar's test, in [0, 1]: of b + c samples that one network alone has right, as few as
    min(b, c) or fewer fall to one of them, 2 sum_{i <= min(b, c)} C(b + c, i) / 2^(b + c). Beyond 1,000 such samples by
    the normal approximation with continuity correction, which is then as good."""
    few, total = min(only_first, only_second), only_first + only_second
    if total <= 1000:
        ways = sum(math.comb(total, i) for i in range(few + 1))
        return min(1.0, float(2 * ways / 2**total))
    return math.erfc(max(abs(only_first - only_second) - 1, 0) / math.sqrt(2 * total))
