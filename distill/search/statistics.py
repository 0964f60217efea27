"""What the runs of a study say: means over seeds, and differences to the base job with their intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

from distill.search.student_t import quantile

ALPHA = 0.05
ROUNDING = 1e-12
Verdict = Literal["better", "worse", "within noise", "too few seeds"]


@dataclass(frozen=True, slots=True)
class Spread:
    """Of `n` values: their mean, and their standard deviation (n - 1), which needs two."""

    mean: float
    sd: float | None
    n: int


def spread(values: Sequence[float]) -> Spread | None:
    """None of no values."""
    n = len(values)
    if n < 2:  # of thousands of configurations with a seed or two, this is the table's time
        return Spread(values[0], None, 1) if n else None
    if n == 2:
        first, second = values
        return Spread(math.fsum(values) / 2, abs(first - second) * math.sqrt(0.5), 2)
    mean = math.fsum(values) / n
    return Spread(mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1)), n)


def interval(found: Spread) -> tuple[float, float] | None:
    """mean +- t_{1 - a/2, n-1} sd / sqrt(n), a = 0.05: where the mean over many seeds lies with probability 0.95, by
    itself, corrected for no other. None of a single value, and where all values are the same: sd = 0 of a few seeds
    estimates nothing (**our choice**, as of `paired`)."""
    if found.sd is None or _constant(found):
        return None
    half = _t(1, found.n - 1) * found.sd / math.sqrt(found.n)
    return found.mean - half, found.mean + half


@dataclass(frozen=True, slots=True)
class Paired:
    """`mean` of first - second over the `n` seeds that both have, with its interval, null for fewer than two seeds.
    `verdict`: whether the first is better, as far as the interval says."""

    mean: float
    low: float | None
    high: float | None
    n: int
    verdict: Verdict

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def paired(
    first: Mapping[int, float], second: Mapping[int, float], higher_is_better: bool, comparisons: int = 1
) -> Paired | None:
    """The difference by seed d_s = first_s - second_s: mean +- t_{1 - a/2m, n-1} s_d / sqrt(n), a = 0.05.

    `comparisons`: m, how many such differences are looked at together; Bonferroni, so that with probability 0.95 all m
    intervals hold what they are to hold. It says how far other seeds would move the mean, not other data. Where values
    vary with the seed and all d_s are equal, as a few seeds on few validation samples may have it, s_d = 0 estimates
    nothing: that is "too few seeds" (**our choice**). None where no seed is common.
    """
    common = sorted(first.keys() & second.keys())
    if not common:
        return None
    found = spread([first[seed] - second[seed] for seed in common])
    assert found is not None
    if abs(found.mean) <= ROUNDING:
        found = replace(found, mean=0.0)  # of differences that cancel out but for rounding
    coincide = found.mean != 0 and _constant(found) and not _constant(spread([second[seed] for seed in common]))
    if found.sd is None or coincide:
        return Paired(found.mean, None, None, found.n, "too few seeds")
    half = _t(max(1, comparisons), found.n - 1) * found.sd / math.sqrt(found.n)
    low, high = found.mean - half, found.mean + half
    return Paired(found.mean, low, high, found.n, _verdict(low, high, higher_is_better))


def _constant(values: Spread | None) -> bool:
    """Whether all are the same but for rounding."""
    return values is not None and values.sd is not None and values.sd <= ROUNDING * max(1.0, abs(values.mean))


@lru_cache(maxsize=10_000)
def _t(comparisons: int, freedom: int) -> float:
    return quantile(1 - ALPHA / (2 * comparisons), freedom)


def _verdict(low: float, high: float, higher_is_better: bool) -> Verdict:
    if low <= 0 <= high:
        return "within noise"
    return "better" if (low > 0) == higher_is_better else "worse"


def front(points: Sequence[Sequence[float]], maximised: Sequence[bool]) -> list[int]:
    """Positions of the points that no other dominates (as good everywhere and better somewhere), best first by the
    first objective. Equal points are all on the front."""
    signed = [tuple(-v if up else v for v, up in zip(point, maximised, strict=True)) for point in points]
    order = sorted(range(len(signed)), key=lambda place: (signed[place], place))
    found: list[int] = []
    for place in order:  # whoever dominates a point stands before it
        if not any(_dominates(signed[other], signed[place]) for other in found):
            found.append(place)
    return found


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
