"""What the metric needs of the pairs within a class: means and minima of P, and the spectral entropy.

Notation as in `distill.quality.pairs`; everything is (R, C), for R rows of multiplicities w (R, N) at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from distill.quality.classes import Classes
from distill.quality.kernel import Block, Kernel
from distill.quality.pairs import class_sums, rounding

TRACE_MARGIN = 1e7  # a class trace below this many rounding errors is taken from the features
ENTROPY_TOLERANCE = (1e-5, 1e-9)  # relative, and nats: what eigenvalues lost in rounding may add at most


class Reader(Protocol):
    def add(self, block: Block, values: Tensor) -> None:
        """Take what is needed of the classes' values (b, n, n), which it may change."""


def read(kernel: Kernel, classes: Classes, readers: Sequence[Reader]) -> None:
    """Show every class block of K to all readers."""
    for block, values in kernel.blocks(classes):
        for reader in readers[:-1]:
            reader.add(block, values.clone())
        readers[-1].add(block, values)
        del values  # before the next is made


class Within:
    """Of P over a class's block: `means` w'Pw / W_c^2 (R, C), and `minima` over the samples that are there."""

    def __init__(self, kernel: Kernel, classes: Classes, weights: Tensor) -> None:
        norms = kernel.diagonal.clamp_min(0).sqrt()
        self._inverse = torch.where(norms > 0, 1 / norms, 0.0)
        self._shares = weights / class_sums(weights, classes)[:, classes.sorted]
        self.means = weights.new_empty(len(weights), classes.number)
        self.minima = torch.empty_like(self.means)

    def add(self, block: Block, values: Tensor) -> None:
        index, rows, real = block
        values.abs_()
        values *= self._inverse[rows][:, :, None]
        values *= self._inverse[rows][:, None, :]
        shares = torch.where(real, self._shares[:, rows], 0.0)
        self.means[:, index] = torch.einsum("rbi,bij,rbj->rb", shares, values, shares)
        for number, there in enumerate(shares > 0):
            present = values if number == len(shares) - 1 else values.clone()
            present.masked_fill_(~there[:, :, None], torch.inf).masked_fill_(~there[:, None, :], torch.inf)
            self.minima[number, index] = present.amin((1, 2))


def mean_norms(kernel: Kernel, classes: Classes, weights: Tensor) -> Tensor:
    """r (R,) = mean_c mean_{i in c} |f_i|."""
    sums = class_sums(weights * kernel.diagonal.clamp_min(0).sqrt(), classes)
    return (sums / class_sums(weights, classes)).mean(1)


class Entropies:
    """H_c = -sum_j l_j ln l_j in nats, l the eigenvalues of the doubly centred class block divided by their sum.
    `values` (R, C); `resolved` (R, C): the class's trace stands clear of rounding errors, and so do so many eigenvalues
    that the others could not change it."""

    def __init__(self, kernel: Kernel, classes: Classes, weights: Tensor) -> None:
        self._weights, self._dims = weights, kernel.dims
        self.values = weights.new_empty(len(weights), classes.number)
        self.resolved = (classes.counts == 1).repeat(len(weights), 1)

    def add(self, block: Block, values: Tensor) -> None:
        index, rows, real = block
        for number, weights in enumerate(self._weights):
            p = torch.where(real, weights[rows], 0.0)
            p = p / p.sum(1, keepdim=True)
            own = values if number == len(self._weights) - 1 else values.clone()
            size = (p * own.diagonal(dim1=1, dim2=2)).sum(1)
            trace, entropy, lost = centred_entropy(own, p, self._dims)
            clear = lost <= ENTROPY_TOLERANCE[0] * entropy + ENTROPY_TOLERANCE[1]
            resolved = ((trace >= TRACE_MARGIN * rounding(self._dims) * size) & clear) | (size == 0)
            self.values[number, index] = entropy
            self.resolved[number, index] |= resolved
            del own


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
