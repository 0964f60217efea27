"""How far other test images would move a figure that is no share of independent samples: a bootstrap over images."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from distill.statistics import Difference

REPLICATES, SEED = 1000, 0
_BLOCK = 2**24  # elements of a block of replicates
Figure = Callable[[Tensor], Tensor]
"""Weights (r, n) of n images -> (r,) values."""


@lru_cache(maxsize=1)
def weights(images: int) -> Tensor:
    """(REPLICATES, n) float64: how often each of the n images falls into a bootstrap sample of n. Always the same."""
    generator = torch.Generator().manual_seed(SEED)
    drawn = torch.randint(images, (REPLICATES, images), generator=generator)
    return torch.zeros(REPLICATES, images, dtype=torch.double).scatter_add_(
        1, drawn, torch.ones_like(drawn, dtype=torch.double)
    )


def interval(images: int, figure: Figure) -> tuple[float, float]:
    """95 % percentile interval (Efron 1979) of a figure of n images. A bootstrap over images, since the parts of one
    image are no independent samples."""
    drawn, rows = weights(images), max(1, _BLOCK // max(1, images))
    values = torch.cat([figure(drawn[start : start + rows]) for start in range(0, len(drawn), rows)])
    return percentiles(values)


def percentiles(values: Tensor) -> tuple[float, float]:
    """The middle 95 % of the values (r,) of r bootstrap samples."""
    low, high = torch.quantile(values, torch.tensor([0.025, 0.975], dtype=torch.double)).tolist()
    return low, high


def share(value: float, images: int, figure: Figure) -> dict[str, Any]:
    """A report's entry: the value, its interval, the number of images."""
    return entry(value, images, interval(images, figure))


def entry(value: float, images: int, between: tuple[float, float]) -> dict[str, Any]:
    """The same with an interval that is known."""
    return {"value": value, "low": min(between[0], value), "high": max(between[1], value), "n": images}


def paired_difference(images: int, first: Figure, second: Figure) -> Difference:
    """first less second on the same images, by a paired bootstrap: both see the same sample. `clear`: the interval
    excludes 0."""
    whole = torch.ones(1, images, dtype=torch.double)
    value = float(first(whole) - second(whole))
    return gap(value, images, interval(images, lambda w: first(w) - second(w)))


def gap(value: float, images: int, between: tuple[float, float]) -> Difference:
    """The same with an interval that is known."""
    low, high = between
    return Difference(value, low, high, images, low > 0 or high < 0)
