"""Layers whose distances or class spreads drown in the rounding of the Gram matrix: take them from the features.

Near-duplicates across classes, and spreads that are tiny beside the norms. First one more product, of the centred
features; then, for what is still unclear, differences of the few samples concerned, summed directly.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from distill.quality.classes import Classes
from distill.quality.gram import Columns, gram
from distill.quality.statistics import (
    Entropies,
    Nearest,
    centred_entropy,
    chunk_elements,
    entropies,
    nearest,
    rounding,
)


def refine(columns: Columns, classes: Classes, near: Nearest, entropy: Entropies) -> tuple[Nearest, Entropies]:
    """Both with every class resolved, to float64 of a direct computation."""
    device, ones = near.lower.device, near.lower.new_ones(classes.samples)
    kernel = gram(columns, classes.samples, device, centred=True)
    near = _tighter(near, nearest(kernel, columns.dims, classes, ones))
    again = entropies(kernel, columns.dims, classes, ones)
    entropy = Entropies(torch.where(entropy.resolved, entropy.values, again.values), entropy.resolved | again.resolved)
    if not near.resolved.all():
        near = _direct_distances(columns, kernel, classes, near)
    del kernel  # its memory is what the class blocks below may take
    if not entropy.resolved.all():
        entropy = _direct_entropies(columns, classes, entropy)
    return near, entropy


def _tighter(first: Nearest, second: Nearest) -> Nearest:
    keep = first.resolved
    pairs = zip(vars(first).values(), vars(second).values(), strict=True)
    return Nearest(*(torch.where(keep, a, b) for a, b in pairs))


def _direct_distances(columns: Columns, kernel: Tensor, classes: Classes, near: Nearest) -> Nearest:
    """First the closest pair of each unclear class, then every pair that can still be closer than that one."""
    unclear, samples = ~near.resolved, classes.samples
    exact = near.upper.clone()
    exact[unclear] = pair_distances(columns, near.rows[unclear] * samples + near.others[unclear], samples)
    below = torch.where(unclear & (exact > 0), exact, -1.0)
    for pairs in _candidates(kernel, columns.dims, classes, below):
        found = pair_distances(columns, pairs, samples)
        for part in _portions(len(pairs), _step(samples)):
            exact.scatter_reduce_(0, classes.sorted[pairs[part] // samples], found[part], "amin")
        below.copy_(torch.where(below > 0, exact, below))
    values = torch.where(unclear, exact, (near.lower + near.upper) / 2)
    return Nearest(values, values, near.rows, near.others)


def _candidates(kernel: Tensor, dims: int, classes: Classes, below: Tensor) -> Iterator[Tensor]:
    """Pairs i N + j of different classes whose squared distance may be at most `below` (C,) of i's class, -1 for none;
    of N^2 pairs as many at once as `chunk_elements` says. `below` may fall between two portions."""
    samples = len(kernel)
    held: list[Tensor] = []
    for part in _portions(samples, max(_step(samples) // samples, 1)):
        pairs = _close(kernel, part, dims, classes, below) + part.start * samples
        if sum(map(len, held)) + len(pairs) > chunk_elements(samples):
            ready = torch.cat(held)
            held.clear()
            yield ready
            del ready
        held.append(pairs)
    ready = torch.cat(held)
    held.clear()
    if len(ready):
        yield ready


def _close(kernel: Tensor, part: slice, dims: int, classes: Classes, below: Tensor) -> Tensor:
    """The candidates in some rows of the Gram matrix, as positions in them."""
    slack, square = 1 - rounding(dims), kernel.diagonal()
    limit = below[classes.sorted[part], None]
    lower = (square[part, None] + square).mul_(slack).sub_(kernel[part], alpha=2)
    keep = (lower <= limit) & (limit >= 0) & (classes.sorted[part, None] != classes.sorted)
    return keep.flatten().nonzero()[:, 0]


def _portions(length: int, step: int) -> Iterator[slice]:
    return (slice(start, min(start + step, length)) for start in range(0, length, step))


def _step(samples: int) -> int:
    """An eighth of a chunk: what several temporaries may have at once beside the pairs and their distances."""
    return max(chunk_elements(samples) // 8, 1)


def pair_distances(columns: Columns, pairs: Tensor, samples: int) -> Tensor:
    """|f_i - f_j|^2 for the given pairs i N + j, summed in float64 over the column blocks."""
    total = torch.zeros(len(pairs), dtype=torch.float64, device=pairs.device)
    for block in columns.blocks():
        for part in _portions(len(pairs), max(_step(samples) // block.shape[1], 1)):
            difference = block[pairs[part] // samples].sub_(block[pairs[part] % samples])
            total[part] += difference.square_().sum(1)
    return total


def _direct_entropies(columns: Columns, classes: Classes, entropy: Entropies) -> Entropies:
    """Entropies of the unclear classes from features minus the class's first sample: zero where all are equal."""
    unclear = (~entropy.resolved).nonzero()[:, 0].tolist()
    starts, counts = classes.starts.tolist(), classes.counts.tolist()
    grams = {c: entropy.values.new_zeros(counts[c], counts[c]) for c in unclear}
    for block in columns.blocks():
        for c, total in grams.items():
            members = block[starts[c] : starts[c] + counts[c]]
            centred = members - members[:1]
            total.addmm_(centred, centred.T)
    values = entropy.values.clone()
    for c, total in grams.items():
        even = total.new_full((1, len(total)), 1 / len(total))
        values[c] = centred_entropy(total[None], even, columns.dims)[1][0]
    return Entropies(values, torch.ones_like(entropy.resolved))
