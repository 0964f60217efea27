"""Layers whose distances or class spreads drown in the rounding of the Gram matrix: take them from the features.

Near-duplicates across classes, and spreads that are tiny beside the norms. First one more product, of the centred
features; then, for what is still unclear, differences of the few samples concerned, summed directly.
"""

from __future__ import annotations

import torch
from torch import Tensor

from distill.quality._classes import Classes
from distill.quality._gram import Columns, gram
from distill.quality._statistics import (
    CHUNK_ELEMENTS,
    Entropies,
    Nearest,
    centred_entropy,
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
    if not entropy.resolved.all():
        entropy = _direct_entropies(columns, classes, entropy)
    return near, entropy


def _tighter(first: Nearest, second: Nearest) -> Nearest:
    keep = first.resolved
    pairs = zip(vars(first).values(), vars(second).values(), strict=True)
    return Nearest(*(torch.where(keep, a, b) for a, b in pairs))


def _direct_distances(columns: Columns, kernel: Tensor, classes: Classes, near: Nearest) -> Nearest:
    """First the closest pair of each unclear class, then every pair that can still be closer than that one."""
    unclear = ~near.resolved
    exact = near.upper.clone()
    exact[unclear] = pair_distances(columns, near.rows[unclear], near.others[unclear])
    open_classes = unclear & (exact > 0)
    rows, others = _candidates(kernel, columns.dims, classes, torch.where(open_classes, exact, -1.0))
    if len(rows):
        found = pair_distances(columns, rows, others)
        exact.scatter_reduce_(0, classes.sorted[rows], found, "amin")
    values = torch.where(unclear, exact, (near.lower + near.upper) / 2)
    return Nearest(values, values, near.rows, near.others)


def _candidates(kernel: Tensor, dims: int, classes: Classes, below: Tensor) -> tuple[Tensor, Tensor]:
    """Pairs (i, j) of different classes whose squared distance may be at most `below` (C,) of i's class."""
    slack, square = 1 - rounding(dims), kernel.diagonal()
    height = max(CHUNK_ELEMENTS // len(kernel), 1)
    found = []
    for start in range(0, len(kernel), height):
        part = slice(start, start + height)
        lower = slack * (square[part, None] + square) - 2 * kernel[part]
        keep = (lower <= below[classes.sorted[part], None]) & (below[classes.sorted[part], None] >= 0)
        keep &= classes.sorted[part, None] != classes.sorted
        found.append(keep.nonzero() + torch.tensor([start, 0], device=kernel.device))
    pairs = torch.cat(found)
    return pairs[:, 0], pairs[:, 1]


def pair_distances(columns: Columns, rows: Tensor, others: Tensor) -> Tensor:
    """|f_i - f_j|^2 for the given pairs, summed in float64 over the column blocks."""
    total = torch.zeros(len(rows), dtype=torch.float64, device=rows.device)
    for block in columns.blocks():
        height = max(CHUNK_ELEMENTS // block.shape[1], 1)
        for start in range(0, len(rows), height):
            part = slice(start, start + height)
            total[part] += (block[rows[part]] - block[others[part]]).square_().sum(1)
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
