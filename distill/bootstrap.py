"""How far other test samples would move a figure that is no plain share: intervals by bootstrap over samples."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from distill.statistics import Difference

REPLICATES, SEED = 1000, 0
_BLOCK = 2**22  # elements of a block of replicates


@lru_cache(maxsize=1)
def weights(samples: int) -> Tensor:
    """(REPLICATES, n) uint8: how often each of the n samples falls into a bootstrap sample of n. Always the same."""
    generator, rows = torch.Generator().manual_seed(SEED), max(1, _BLOCK // max(1, samples))
    parts = []
    for start in range(0, REPLICATES, rows):
        drawn = torch.randint(samples, (min(rows, REPLICATES - start), samples), generator=generator)
        counts = torch.zeros(drawn.shape, dtype=torch.uint8)
        parts.append(counts.scatter_add_(1, drawn, torch.ones_like(drawn, dtype=torch.uint8)))
    return torch.cat(parts)


def replicated(samples: int, figure: Callable[[Tensor], Tensor]) -> Tensor:
    """(REPLICATES, ...): a figure of n samples in every bootstrap sample; `figure(w)` maps weights (r, n) float64 to
    values (r, ...). A bootstrap over samples, since what is counted within one (pixels, labels) is not independent."""
    drawn, rows = weights(samples), max(1, _BLOCK // max(1, samples))
    return torch.cat([figure(drawn[start : start + rows].double()) for start in range(0, len(drawn), rows)])


def percentiles(values: Tensor) -> tuple[float, float]:
    """95 % percentile interval (Efron 1979) of a figure from its values (REPLICATES,)."""
    low, high = torch.quantile(values.double(), torch.tensor([0.025, 0.975], dtype=torch.double)).tolist()
    return low, high


def share(value: float, samples: int, figure: Callable[[Tensor], Tensor]) -> dict[str, Any]:
    """A report's entry: the value, its interval, the number of samples."""
    return entry(value, samples, replicated(samples, figure))


def entry(value: float, samples: int, values: Tensor) -> dict[str, Any]:
    """The same from the figure's replicated values."""
    low, high = percentiles(values)
    return {"value": value, "low": min(low, value), "high": max(high, value), "n": samples}


def paired_difference(
    samples: int, first: Callable[[Tensor], Tensor], second: Callable[[Tensor], Tensor]
) -> Difference:
    """first less second on the same samples, by a paired bootstrap: both see the same draws. `clear`: the interval
    excludes 0."""
    whole = torch.ones(1, samples, dtype=torch.double)
    value = float(first(whole) - second(whole))
    return differing(value, samples, replicated(samples, lambda w: first(w) - second(w)))


def differing(value: float, samples: int, values: Tensor) -> Difference:
    """The same from the difference's replicated values."""
    low, high = percentiles(values)
    return Difference(value, low, high, samples, low > 0 or high < 0)
