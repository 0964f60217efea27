"""Quantiles of Student's t, exactly and without a library: intervals of means over few seeds."""

from __future__ import annotations

import math


def cdf(t: float, freedom: int) -> float:
    """P(T <= t) for a whole number of degrees of freedom >= 1, in [0, 1].

    The finite series of Abramowitz and Stegun, 26.7.3 and 26.7.4: with theta = atan(t / sqrt(v)), P(|T| <= t) is
    sin(theta) (1 + cos^2/2 + 1*3/(2*4) cos^4 + ... to cos^(v-2)) for even v, and
    2/pi (theta + sin(theta) (cos + 2/3 cos^3 + ... to cos^(v-2))) for odd v.
    """
    theta = math.atan(t / math.sqrt(freedom))
    odd = freedom % 2
    term = math.cos(theta) if odd else 1.0
    total = 0.0
    for power in range(1 + odd, freedom, 2):
        total += term
        term *= math.cos(theta) ** 2 * power / (power + 1)
    inside = 2 / math.pi * (theta + math.sin(theta) * total) if odd else math.sin(theta) * total
    return (1 + inside) / 2


def quantile(probability: float, freedom: int) -> float:
    """The t with P(T <= t) = probability, in (0, 1), by bisection to the last digits of a float."""
    if probability < 0.5:
        return -quantile(1 - probability, freedom)
    low, high = 0.0, 1.0
    while cdf(high, freedom) < probability:
        low, high = high, high * 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if cdf(middle, freedom) < probability else (low, middle)
    return (low + high) / 2
