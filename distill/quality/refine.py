"""Layers whose distances or class spreads drown in the rounding of the Gram matrix: take them from the features.

Near-duplicates across classes, and spreads that are tiny beside the norms. First one more product, of the centred
features; then, for what is still unclear, differences of the few samples concerned, summed directly.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from distill.quality import pairs, within
from distill.quality.classes import Classes
from distill.quality.gram import Columns, add_product, mirror
from distill.quality.kernel import Kernel, Part, bunched, portions
from distill.quality.pairs import Closest, Nearest, rounding
from distill.quality.within import Entropies, centred_entropy
from distill.scoring_memory import BLOCK_ELEMENTS, chunk_elements


def refine(
    kernel: Kernel, columns: Columns, classes: Classes, near: Nearest, entropies: Entropies
) -> tuple[Nearest, Tensor]:
    """Nearest strangers and entropies (C,) with every class resolved, to float64 of a direct computation."""
    centred = kernel.centred()
    closest = Closest(centred, classes)
    pairs.read(centred, [closest])
    near = _tighter(near, closest.nearest())
    again = Entropies(centred, classes, near.lower.new_ones(1, classes.samples))
    within.read(centred, classes, [again])
    values, resolved = torch.where(entropies.resolved, entropies.values, again.values)[0], entropies.resolved[0]
    if not near.resolved.all():
        near = _direct_distances(columns, centred, classes, near)
    del centred, closest  # its memory is what the class blocks below may take
    if not (resolved | again.resolved[0]).all():
        values = _direct_entropies(columns, classes, values, resolved | again.resolved[0])
    return near, values


def _tighter(first: Nearest, second: Nearest) -> Nearest:
    keep = first.resolved
    pairs = zip(vars(first).values(), vars(second).values(), strict=True)
    return Nearest(*(torch.where(keep, a, b) for a, b in pairs))


def _direct_distances(columns: Columns, kernel: Kernel, classes: Classes, near: Nearest) -> Nearest:
    """First the closest pair of each unclear class, then every pair that can still be closer than that one."""
    unclear, samples = ~near.resolved, classes.samples
    exact = near.upper.clone()
    exact[unclear] = pair_distances(columns, near.rows[unclear] * samples + near.others[unclear], samples)
    below = torch.where(unclear & (exact > 0), exact, -torch.inf)
    for found_pairs in _candidates(kernel, classes, below) if bool((below > 0).any()) else ():
        found = pair_distances(columns, found_pairs, samples)
        for part in _steps(len(found_pairs), _step(samples)):
            exact.scatter_reduce_(0, classes.sorted[found_pairs[part] // samples], found[part], "amin")
        below.copy_(torch.where(below > 0, exact, below))
    values = torch.where(unclear, exact, (near.lower + near.upper) / 2)
    return Nearest(values, values, near.rows, near.others)


def _candidates(kernel: Kernel, classes: Classes, below: Tensor) -> Iterator[Tensor]:
    """Pairs i N + j of different classes whose squared distance may be at most `below` (C,) of i's class, minus
    infinity for none; of N^2 pairs as many at once as `chunk_elements` says. `below` may fall between two portions."""
    samples = classes.samples
    held: list[Tensor] = []
    for part in kernel.parts(_step(samples)):
        for close in _close(kernel, part, classes, below):
            if sum(map(len, held)) + len(close) > chunk_elements(samples):
                ready = torch.cat(held)
                held.clear()
                yield ready
                del ready
            held.append(close)
    ready = torch.cat(held)
    held.clear()
    if len(ready):
        yield ready


def _close(kernel: Kernel, part: Part, classes: Classes, below: Tensor) -> Iterator[Tensor]:
    """The candidates of a part's rows, and of the columns that are in no other part."""
    slack, square, own = 1 - rounding(kernel.dims), kernel.diagonal, classes.sorted
    samples = len(square)
    lower = (square[part.rows, None] + square[part.first :]).mul_(slack).sub_(part.values, alpha=2)
    lower.masked_fill_(own[part.rows, None] == own[part.first :], torch.inf)
    limit = below[own]
    rows, others = (lower <= limit[part.rows, None]).nonzero(as_tuple=True)
    yield (rows + part.rows.start) * samples + others + part.first
    if part.beyond < samples:
        right = lower[:, part.beyond - part.first :]
        others, rows = (right <= limit[part.beyond :]).nonzero(as_tuple=True)
        yield (rows + part.beyond) * samples + others + part.rows.start


def _steps(length: int, step: int) -> Iterator[slice]:
    return portions(slice(0, length), step)


def _step(samples: int) -> int:
    """An eighth of a chunk: what several temporaries may have at once beside the pairs and their distances."""
    return max(chunk_elements(samples) // 8, 1)


def pair_distances(columns: Columns, pairs: Tensor, samples: int) -> Tensor:
    """|f_i - f_j|^2 for the given pairs i N + j, summed in float64 over the column blocks."""
    total = torch.zeros(len(pairs), dtype=torch.float64, device=pairs.device)
    for block in columns.blocks():
        for part in _steps(len(pairs), max(_step(samples) // block.shape[1], 1)):
            difference = block[pairs[part] // samples].sub_(block[pairs[part] % samples])
            total[part] += difference.square_().sum(1)
    return total


def _direct_entropies(columns: Columns, classes: Classes, values: Tensor, resolved: Tensor) -> Tensor:
    """Entropies (C,), those of the unclear classes from features minus the class's first sample: zero where all are
    equal."""
    values = values.clone()
    counts = classes.counts.tolist()
    for some in bunched((~resolved).nonzero()[:, 0].tolist(), lambda c: counts[c] ** 2, BLOCK_ELEMENTS):
        for c, total in _direct_grams(columns, classes, some).items():
            even = total.new_full((1, len(total)), 1 / len(total))
            values[c] = centred_entropy(total[None], even, columns.dims)[1][0]
    return values


def _direct_grams(columns: Columns, classes: Classes, some: list[int]) -> dict[int, Tensor]:
    starts, counts = classes.starts.tolist(), classes.counts.tolist()
    device = classes.sorted.device
    grams = {c: torch.zeros(counts[c], counts[c], dtype=torch.float64, device=device) for c in some}
    first = min(starts[c] for c in some)
    last = max(starts[c] + counts[c] for c in some)
    for block in columns.blocks(slice(first, last)):
        for c, total in grams.items():
            members = block[starts[c] - first : starts[c] - first + counts[c]]
            add_product(total, members - members[:1])
    return {c: mirror(total) for c, total in grams.items()}
