"""What the metric needs of all pairs of samples: |K| v, and each class's nearest stranger.

Notation: K (N, N) Gram matrix of the features, rows sorted by class; w (R, N) multiplicities, each of the R rows ones
or a bootstrap replicate's; W_c the sum of w over class c. All that is looked for is found in one reading of the matrix.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from distill.quality.classes import Classes
from distill.quality.kernel import Kernel, Part
from distill.scoring_memory import CHUNK_ELEMENTS

CACHED_ELEMENTS = 2**18  # looked at at once on a CPU: temporaries stay in its cache
FEW_CLASSES = 16  # of a part: up to so many are looked at one by one
DISTANCE_TOLERANCE = 1e-5  # relative, of squared distances: above it they are taken from the features


def rounding(dims: int) -> float:
    """Bound of a float64 dot product's rounding error over D terms, relative to the product of the norms."""
    return float(2 * torch.finfo(torch.float64).eps * dims**0.5)


def class_sums(values: Tensor, classes: Classes) -> Tensor:
    """(R, N) -> (R, C): sum over the samples of each class."""
    return values.new_zeros(len(values), classes.number).index_add_(1, classes.sorted, values)


class Reader(Protocol):
    def add(self, part: Part) -> None:
        """Take what is needed of the part's values."""


def read(kernel: Kernel, readers: Sequence[Reader]) -> None:
    """Show every part of K to all readers."""
    on_cpu = kernel.diagonal.device.type == "cpu"
    for part in kernel.parts(CACHED_ELEMENTS if on_cpu else CHUNK_ELEMENTS):
        for reader in readers:
            reader.add(part)


class Means:
    """Sums of P_ij = |K_ij| / sqrt(K_ii K_jj), 0 where a norm is 0 (**our choice**)."""

    def __init__(self, kernel: Kernel, classes: Classes, weights: Tensor) -> None:
        self._classes = classes
        norms = kernel.diagonal.clamp_min(0).sqrt()
        inverse = torch.where(norms > 0, 1 / norms, 0.0)
        self._shares = (weights / class_sums(weights, classes)[:, classes.sorted] * inverse).T.contiguous()
        self._sums = torch.zeros_like(self._shares)

    def add(self, part: Part) -> None:
        values = part.values.abs()
        self._sums[part.rows] += values @ self._shares[part.first :]
        if part.beyond < len(self._sums):
            self._sums[part.beyond :] += values[:, part.beyond - part.first :].T @ self._shares[part.rows]

    def everywhere(self) -> Tensor:
        """(R, C): sum over classes c' of the mean P between c and c', itself included."""
        return class_sums((self._shares * self._sums).T, self._classes)


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
        return middle(self.lower, self.upper)


def middle(lower: Tensor, upper: Tensor) -> Tensor:
    """The distance of which bounds of the square are known."""
    return ((lower + upper) / 2).sqrt()


class Closest:
    """min over i in c, j not in c of K_ii + K_jj - 2 K_ij, with the bounds that rounding leaves."""

    def __init__(self, kernel: Kernel, classes: Classes) -> None:
        self._classes, self._square, self._slack = classes, kernel.diagonal, rounding(kernel.dims)
        self._high = torch.full_like(self._square, torch.inf)  # of each row, without its own square
        self._low = self._high.clone()
        self._others = torch.zeros(len(self._high), dtype=torch.long, device=self._high.device)
        self._strangers = Strangers(kernel, classes)

    def add(self, part: Part) -> None:
        bounds, less = self._strangers.of_rows(part)
        least, found = bounds.min(1)
        closer = least < self._high[part.rows]
        self._others[part.rows] = torch.where(closer, found + part.first, self._others[part.rows])
        self._closer(part.rows, least, bounds.sub_(less).amin(1))
        if part.beyond < len(self._square):
            right = slice(part.beyond, None)
            bounds, less = self._strangers.of_columns(part)
            least = bounds.amin(0)
            (closer,) = (least < self._high[right]).nonzero(as_tuple=True)  # few: the others' rows need no search
            self._others[right][closer] = bounds[:, closer].argmin(0) + part.rows.start
            self._closer(right, least, bounds.sub_(less).amin(0))

    def _closer(self, rows: slice, high: Tensor, low: Tensor) -> None:
        torch.minimum(self._high[rows], high, out=self._high[rows])
        torch.minimum(self._low[rows], low, out=self._low[rows])

    def nearest(self) -> Nearest:
        high, low = self._high + (1 + self._slack) * self._square, self._low + (1 - self._slack) * self._square
        lower, upper = low.new_empty(self._classes.number), low.new_empty(self._classes.number)
        rows = torch.empty(self._classes.number, dtype=torch.long, device=low.device)
        for index, members, real in self._classes.blocks():
            lower[index] = low[members].masked_fill_(~real, torch.inf).amin(1)
            upper[index], position = high[members].masked_fill_(~real, torch.inf).min(1)
            rows[index] = members.gather(1, position[:, None])[:, 0]
        return Nearest(lower.clamp_min_(0), upper.clamp_min_(0), rows, self._others[rows])


class ClosestDrawn:
    """The bounds of `Closest` for each of R samples drawn from the rows: those of weight 0 are not there."""

    def __init__(self, kernel: Kernel, classes: Classes, weights: Tensor) -> None:
        self._classes, self._square, self._slack = classes, kernel.diagonal, rounding(kernel.dims)
        self._absent = torch.where(weights > 0, 0.0, torch.inf)
        self._high = torch.full_like(weights, torch.inf)
        self._low = self._high.clone()
        self._strangers = Strangers(kernel, classes)

    def add(self, part: Part) -> None:
        self._closer(part.rows, *self._strangers.of_rows(part), self._absent[:, None, part.first :], 1)
        if part.beyond < len(self._square):
            absent = self._absent[:, part.rows, None]
            self._closer(slice(part.beyond, None), *self._strangers.of_columns(part), absent, 0)

    def _closer(self, rows: slice, bounds: Tensor, less: Tensor, absent: Tensor, along: int) -> None:
        """`absent` (R, h, 1) or (R, 1, W): of the rows that are looked through, `along` which axis they lie."""
        present = torch.empty_like(bounds)
        for known in (self._high[:, rows], self._low[:, rows]):
            for mine, missing in zip(known, absent, strict=True):
                torch.minimum(mine, torch.add(bounds, missing, out=present).amin(along), out=mine)
            bounds.sub_(less)

    def distances(self) -> Tensor:
        """(R,): the mean over the classes of the distance to the nearest stranger."""
        high = self._high + (1 + self._slack) * self._square + self._absent
        low = self._low + (1 - self._slack) * self._square + self._absent
        return middle(*(self._least(bound) for bound in (low, high))).mean(1)

    def _least(self, bound: Tensor) -> Tensor:
        """(R, C): the least of each class."""
        least = bound.new_full((len(bound), self._classes.number), torch.inf)
        return least.scatter_reduce_(1, self._classes.sorted.expand_as(bound), bound, "amin").clamp_min_(0)


class Strangers:
    """Of a part's pairs, a bound from above of K_jj - 2 K_ij (h, W), infinite where both are of one class, and what to
    take off for a bound from below."""

    def __init__(self, kernel: Kernel, classes: Classes) -> None:
        self._square, self._slack = kernel.diagonal, rounding(kernel.dims)
        self._classes, self._starts = classes.sorted, classes.starts.tolist()
        self._stops = (classes.starts + classes.counts).tolist()

    def of_rows(self, part: Part) -> tuple[Tensor, Tensor]:
        """Of the part's rows i and all its columns j."""
        return self._bounds(part.rows, part.first, part.values, self._square[part.first :])

    def of_columns(self, part: Part) -> tuple[Tensor, Tensor]:
        """Of the columns i that are in no other part, and the part's rows j."""
        return self._bounds(part.rows, part.beyond, part.right, self._square[part.rows, None])

    def _bounds(self, rows: slice, first: int, values: Tensor, square: Tensor) -> tuple[Tensor, Tensor]:
        high = torch.add((1 + self._slack) * square, values, alpha=-2)
        there = range(bisect_right(self._stops, rows.start), bisect_left(self._starts, rows.stop))
        if len(there) > FEW_CLASSES:
            high.masked_fill_(self._classes[rows, None] == self._classes[first:], torch.inf)
            return high, 2 * self._slack * square
        for number in there:
            start, stop = self._starts[number], self._stops[number]
            columns = slice(max(start - first, 0), max(stop - first, 0))
            high[max(start - rows.start, 0) : stop - rows.start, columns] = torch.inf
        return high, 2 * self._slack * square
