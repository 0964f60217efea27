"""Everything the Q metric needs, from Gram matrices, without a loop over samples or class pairs.

Notation: K (N, N) Gram matrix of the features, rows sorted by class; w (N,) multiplicities (ones, or a bootstrap
replicate's); W_c the sum of w over class c; P_ij = |K_ij| / sqrt(K_ii K_jj), 0 where a norm is 0 (**our choice**).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from distill.quality.classes import Classes

CHUNK_ELEMENTS = 2**22
DISTANCE_TOLERANCE = 1e-5  # relative, of squared distances: above it they are taken from the features
TRACE_MARGIN = 1e7  # a class trace below this many rounding errors is taken from the features
ENTROPY_TOLERANCE = (1e-5, 1e-9)  # relative, and nats: what eigenvalues lost in rounding may add at most


def chunk_elements(samples: int) -> int:
    """Elements of the largest part of an N x N matrix that is looked at at once."""
    return max(min(samples**2, CHUNK_ELEMENTS), samples)


def rounding(dims: int) -> float:
    """Bound of a float64 dot product's rounding error over D terms, relative to the product of the norms."""
    return float(2 * torch.finfo(torch.float64).eps * dims**0.5)


@dataclass
class Similarity:
    """`intra`, `inter` means of P, and `minimum` m = mean_c min P over the class block."""

    intra: float
    inter: float
    minimum: float


def similarity(kernel: Tensor, classes: Classes, weights: Tensor) -> Similarity:
    """intra = mean_c w'Pw / W_c^2 over the class block; inter = mean_c mean_{c' != c} of the block means; m."""
    norms = kernel.diagonal().clamp_min(0).sqrt()
    inverse = torch.where(norms > 0, 1 / norms, 0.0)
    share = weights / class_sums(weights, classes)[classes.sorted]
    everywhere = class_sums(share * inverse * _absolute_product(kernel, inverse * share), classes)
    intra, minimum = torch.empty_like(everywhere), torch.empty_like(everywhere)
    for index, rows, real in classes.blocks():
        block = kernel[rows[:, :, None], rows[:, None, :]].abs_()
        block *= inverse[rows][:, :, None]
        block *= inverse[rows][:, None, :]
        p = torch.where(real, share[rows], 0.0)
        intra[index] = torch.einsum("bi,bij,bj->b", p, block, p)
        absent = p == 0
        block.masked_fill_(absent[:, :, None] | absent[:, None, :], torch.inf)
        minimum[index] = block.amin((1, 2))
    inter = (everywhere - intra) / (classes.number - 1)
    return Similarity(float(intra.mean()), float(inter.mean()), float(minimum.mean()))


def class_sums(values: Tensor, classes: Classes) -> Tensor:
    """(N,) -> (C,): sum over the samples of each class."""
    return values.new_zeros(classes.number).index_add_(0, classes.sorted, values)


def _absolute_product(kernel: Tensor, vector: Tensor) -> Tensor:
    """|K| v without a second N x N matrix."""
    height = max(CHUNK_ELEMENTS // len(kernel), 1)
    return torch.cat([kernel[i : i + height].abs() @ vector for i in range(0, len(kernel), height)])


def mean_norm(kernel: Tensor, classes: Classes, weights: Tensor) -> float:
    """r = mean_c mean_{i in c} |f_i|."""
    sums = class_sums(weights * kernel.diagonal().clamp_min(0).sqrt(), classes)
    return float((sums / class_sums(weights, classes)).mean())


@dataclass
class Entropies:
    """Spectral entropy (C,) of each class in nats; `resolved` (C,): its trace stands clear of rounding errors, and so
    do so many eigenvalues that the others could not change it."""

    values: Tensor
    resolved: Tensor


def entropies(kernel: Tensor, dims: int, classes: Classes, weights: Tensor) -> Entropies:
    """H_c = -sum_j l_j ln l_j, l the eigenvalues of the doubly centred class block divided by their sum."""
    values = kernel.new_empty(classes.number)
    resolved = torch.empty(classes.number, dtype=torch.bool, device=kernel.device)
    for index, rows, real in classes.blocks():
        p = torch.where(real, weights[rows], 0.0)
        p = p / p.sum(1, keepdim=True)
        block = kernel[rows[:, :, None], rows[:, None, :]]
        size = (p * block.diagonal(dim1=1, dim2=2)).sum(1)
        trace, values[index], lost = centred_entropy(block, p, dims)
        clear = lost <= ENTROPY_TOLERANCE[0] * values[index] + ENTROPY_TOLERANCE[1]
        resolved[index] = ((trace >= TRACE_MARGIN * rounding(dims) * size) & clear) | (size == 0)
    return Entropies(values, resolved | (classes.counts == 1))


def centred_entropy(block: Tensor, p: Tensor, dims: int) -> tuple[Tensor, Tensor, Tensor]:
    """Trace and spectral entropy (b,) of the weighted covariances whose Gram blocks are (b, n, n), p (b, n) sums to 1;
    and a bound (b,) of the entropy that eigenvalues set to 0 may hide: of each of the min(n - 1, D) that there may be,
    at most -x ln x at x = floor / trace.

    A class without spread has entropy 0. Eigenvalues within the rounding of the block, 4 n ulp of the mean squared norm
    before centring, are 0: a class of rank one has entropy 0 and not 1e-14, which sqrt(I E) would blow up."""
    size = torch.einsum("bi,bii->b", p, block)[:, None]
    means = torch.einsum("bij,bj->bi", block, p)
    block -= means[:, :, None]
    block -= means[:, None, :]
    block += torch.einsum("bi,bi->b", means, p)[:, None, None]
    root = p.sqrt()
    block *= root[:, :, None]
    block *= root[:, None, :]
    values = torch.linalg.eigvalsh(block)
    floor = 4 * block.shape[-1] * torch.finfo(values.dtype).eps * size
    values = torch.where(values > floor, values, 0.0)
    trace = values.sum(1, keepdim=True)
    shares = torch.where(trace > 0, values / trace, 0.0)
    hidden = ((p > 0).sum(1) - 1).clamp(0, dims) - (values > 0).sum(1)
    least = torch.where(trace > 0, floor / trace, 0.0)[:, 0].clamp(max=math.exp(-1))  # -x ln x grows up to there
    return trace[:, 0], -torch.xlogy(shares, shares).sum(1), -hidden.clamp(min=0) * torch.xlogy(least, least)


@dataclass
class Nearest:
    """Squared distance (C,) from each class to the nearest sample of another: bounds, and a closest pair's rows."""

    lower: Tensor
    upper: Tensor
    rows: Tensor
    others: Tensor

    @property
    def resolved(self) -> Tensor:
        return self.upper - self.lower <= 2 * DISTANCE_TOLERANCE * self.upper

    @property
    def distances(self) -> Tensor:
        return ((self.lower + self.upper) / 2).sqrt()


def nearest(kernel: Tensor, dims: int, classes: Classes, weights: Tensor) -> Nearest:
    """min over i in c, j not in c of K_ii + K_jj - 2 K_ij, with the bounds that rounding leaves."""
    samples, slack = len(kernel), rounding(dims)
    square = kernel.diagonal()
    absent = torch.where(weights > 0, 0.0, torch.inf)
    low, high = kernel.new_empty(samples), kernel.new_empty(samples)
    others = torch.empty(samples, dtype=torch.long, device=kernel.device)
    height = max(CHUNK_ELEMENTS // samples, 1)
    for start in range(0, samples, height):
        part = slice(start, start + height)
        same = classes.sorted[part, None] == classes.sorted
        chunk = torch.add((1 + slack) * square + absent, kernel[part], alpha=-2).masked_fill_(same, torch.inf)
        high[part], others[part] = chunk.min(1)
        low[part] = chunk.sub_(2 * slack * square).amin(1)
    high += (1 + slack) * square + absent
    low += (1 - slack) * square + absent
    return _by_class(low, high, others, classes)


def _by_class(low: Tensor, high: Tensor, others: Tensor, classes: Classes) -> Nearest:
    """Per class: the lower and the upper bound, and the pair that gives the upper."""
    lower, upper = low.new_empty(classes.number), low.new_empty(classes.number)
    rows = torch.empty(classes.number, dtype=torch.long, device=low.device)
    for index, members, real in classes.blocks():
        lower[index] = low[members].masked_fill_(~real, torch.inf).amin(1)
        upper[index], position = high[members].masked_fill_(~real, torch.inf).min(1)
        rows[index] = members.gather(1, position[:, None])[:, 0]
    return Nearest(lower.clamp_min_(0), upper.clamp_min_(0), rows, others[rows])
