"""Rank correlation, exactly and without a library: whether what scores higher does better."""

from __future__ import annotations

import math
from collections.abc import Sequence

LEAST = 3
"""Points: two are always in perfect order."""


def spearman(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Spearman's rho in [-1, 1]: Pearson's correlation of the ranks r and s of as many finite `x` and `y`,

        rho = sum (r - r')(s - s') / sqrt(sum (r - r')^2 sum (s - s')^2)

    equal values sharing the mean of their ranks, r' and s' being the means. None for fewer than three points, and where
    all `x` or all `y` are equal: there is no order then."""
    if len(x) < LEAST:
        return None
    centre = (len(x) + 1) / 2  # the mean of the ranks, ties or not
    r, s = ([rank - centre for rank in ranks(values)] for values in (x, y))
    scale = math.sqrt(math.fsum(a * a for a in r) * math.fsum(b * b for b in s))
    if scale == 0:
        return None
    return max(-1.0, min(1.0, math.fsum(a * b for a, b in zip(r, s, strict=True)) / scale))


def ranks(values: Sequence[float]) -> list[float]:
    """Of each value its place from 1, smallest first; equal values share the mean of their places."""
    order = sorted(range(len(values)), key=values.__getitem__)
    found = [0.0] * len(values)
    begin = 0
    while begin < len(order):
        end = begin
        while end < len(order) and values[order[end]] == values[order[begin]]:
            end += 1
        for place in order[begin:end]:
            found[place] = (begin + 1 + end) / 2
        begin = end
    return found
