"""How many samples of a class are held out. Imports nothing: forecasts ask it too."""

from __future__ import annotations


def held_out(count: int, fraction: float) -> int:
    """Of a class of `count` samples, at least one: round(count * fraction), but at least one and never the last."""
    return min(count - 1, max(1, round(count * fraction)))
