"""Standard errors of S, I, E and Q by a stratified bootstrap over the samples."""

from __future__ import annotations

import torch
from torch import Tensor

from distill.errors import InvalidConfig
from distill.quality import pairs, within
from distill.quality.classes import Classes
from distill.quality.kernel import Kernel
from distill.quality.metric import KnowledgeQuality, combine, similarities
from distill.quality.pairs import ClosestDrawn, Means
from distill.quality.within import Entropies, Within, mean_norms

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
    kernel: Kernel, geometry: Kernel, classes: Classes, train_size: int, replicates: int, seed: int, together: int
) -> dict[str, float]:
    """Standard deviation over `replicates` samples drawn with replacement within each class, by value's name.

    `geometry` is the Gram matrix that distances and spreads come from (`kernel`, or the centred one). A replicate is
    the same Gram matrix with multiplicities; a matrix is read once for `together` of them. m and d are extremes, which
    a resample can only leave or pull inwards, so the errors of I, E and Q are estimates from below (**our choice** all
    the same: no other assumption is needed).
    """
    generator = torch.Generator().manual_seed(seed)
    draws = list[KnowledgeQuality]()
    while len(draws) < replicates:
        some = min(together, replicates - len(draws))
        weights = torch.stack([_multiplicities(classes, generator) for _ in range(some)]).to(kernel.diagonal)
        draws += _replicates(kernel, geometry, classes, train_size, weights)
    table = torch.tensor([[getattr(draw, name) for name in VALUES] for draw in draws], dtype=torch.float64)
    return dict(zip(VALUES, table.std(0).tolist(), strict=True))


def _multiplicities(classes: Classes, generator: torch.Generator) -> Tensor:
    """(N,): how often each sample is drawn when every class is resampled to its own size."""
    counts, starts = classes.counts.cpu(), classes.starts.cpu()
    own = torch.repeat_interleave(counts, counts)
    drawn = (torch.rand(classes.samples, generator=generator, dtype=torch.float64) * own).long().clamp_max(own - 1)
    return torch.bincount(torch.repeat_interleave(starts, counts) + drawn, minlength=classes.samples)


def _replicates(
    kernel: Kernel, geometry: Kernel, classes: Classes, train_size: int, weights: Tensor
) -> list[KnowledgeQuality]:
    means, similar = Means(kernel, classes, weights), Within(kernel, classes, weights)
    closest, entropies = ClosestDrawn(geometry, classes, weights), Entropies(geometry, classes, weights)
    if geometry is kernel:
        pairs.read(kernel, [means, closest])
        within.read(kernel, classes, [similar, entropies])
    else:
        pairs.read(kernel, [means])
        pairs.read(geometry, [closest])
        within.read(kernel, classes, [similar])
        within.read(geometry, classes, [entropies])
    degrees = min(classes.samples, kernel.dims)
    found = zip(
        similarities(means, similar),
        entropies.values.mean(1).tolist(),
        closest.distances().tolist(),
        mean_norms(kernel, classes, weights).tolist(),
        strict=True,
    )
    return [combine(*parts, train_size, degrees) for parts in found]
