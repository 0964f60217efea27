"""Standard errors of S, I, E and Q by a stratified bootstrap over the samples."""

from __future__ import annotations

import torch
from torch import Tensor

from distill.errors import InvalidConfig
from distill.quality.classes import Classes
from distill.quality.metric import KnowledgeQuality, combine
from distill.quality.statistics import entropies, mean_norm, nearest, similarity

VALUES = ("separation", "information", "efficiency", "quality")


def check_replicates(replicates: int) -> None:
    """Raise `InvalidConfig` for a number of replicates that gives no standard deviation."""
    if replicates != 0 and replicates < 2:
        raise InvalidConfig(
            f"{replicates} bootstrap replicates have no standard deviation.",
            "Give 0 for none, or at least 2.",
            {"bootstrap": replicates},
        )


def standard_errors(
    kernel: Tensor, geometry: Tensor, dims: int, classes: Classes, train_size: int, replicates: int, seed: int
) -> dict[str, float]:
    """Standard deviation over `replicates` samples drawn with replacement within each class, by value's name.

    `geometry` is the Gram matrix that distances and spreads come from (`kernel`, or the centred one). A replicate is
    the same Gram matrix with multiplicities. m and d are extremes, which a resample can only leave or pull inwards,
    so the errors of I, E and Q are estimates from below (**our choice** all the same: no other assumption is needed).
    """
    generator = torch.Generator().manual_seed(seed)
    draws = [
        _replicate(kernel, geometry, dims, classes, train_size, _multiplicities(classes, generator).to(kernel))
        for _ in range(replicates)
    ]
    table = torch.tensor([[getattr(draw, name) for name in VALUES] for draw in draws], dtype=torch.float64)
    return dict(zip(VALUES, table.std(0).tolist(), strict=True))


def _multiplicities(classes: Classes, generator: torch.Generator) -> Tensor:
    """(N,): how often each sample is drawn when every class is resampled to its own size."""
    counts, starts = classes.counts.cpu(), classes.starts.cpu()
    own = torch.repeat_interleave(counts, counts)
    drawn = (torch.rand(classes.samples, generator=generator, dtype=torch.float64) * own).long().clamp_max(own - 1)
    return torch.bincount(torch.repeat_interleave(starts, counts) + drawn, minlength=classes.samples)


def _replicate(
    kernel: Tensor, geometry: Tensor, dims: int, classes: Classes, train_size: int, weights: Tensor
) -> KnowledgeQuality:
    similar = similarity(kernel, classes, weights)
    distance = float(nearest(geometry, dims, classes, weights).distances.mean())
    entropy = float(entropies(geometry, dims, classes, weights).values.mean())
    norm = mean_norm(kernel, classes, weights)
    degrees = min(classes.samples, dims)
    return combine(similar, entropy, distance, norm, train_size, degrees)
