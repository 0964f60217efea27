"""A layer's Gram matrix as the statistics read it: held whole, or computed in strips of its rows and let go again.

Strips are of the upper triangle: K is symmetric, so a strip's entries right of its own square serve its rows and,
turned, the rows below it. The class blocks are products of their own, sum_c n_c^2 D beside N^2 D.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from distill.quality.classes import Classes
from distill.quality.gram import CentredColumns, Columns, add_product, gram, mirror
from distill.scoring_memory import BLOCK_ELEMENTS

GATHERED = 2**19
"""Features of class members that are gathered at once: 4 MiB."""
T = TypeVar("T")
Block = tuple[Tensor, Tensor, Tensor]
"""Of `Classes.blocks`: classes (b,), rows (b, n), real (b, n)."""


@dataclass(frozen=True)
class Part:
    """`values` (h, N - first) = K[rows, first:], to be read and not changed. What lies in columns from `beyond` on is
    in no other part, so it counts for those columns' own rows too; `beyond` is N where every row comes by itself."""

    rows: slice
    first: int
    beyond: int
    values: Tensor

    @property
    def right(self) -> Tensor:
        """(h, N - beyond): K[rows, beyond:]."""
        return self.values[:, self.beyond - self.first :]


class Kernel(Protocol):
    """K = F F^T (N, N) in float64 of features of `dims` columns, rows sorted by class; `diagonal` (N,)."""

    dims: int
    diagonal: Tensor

    def parts(self, elements: int) -> Iterator[Part]:
        """Every pair of rows once, by parts of at most `elements` values (of one row, where that has more)."""

    def blocks(self, classes: Classes) -> Iterator[tuple[Block, Tensor]]:
        """Every class's own block: its rows as of `Classes.blocks`, and (b, n, n) values that may be changed."""

    def centred(self) -> Kernel:
        """Of features minus their common mean: same distances and covariances, no common offset to cancel."""


class WholeKernel:
    """The matrix in memory, N^2 values."""

    def __init__(self, columns: Columns, samples: int, device: torch.device, centred: bool = False) -> None:
        self._columns, self._device = columns, device
        self.dims = columns.dims
        self._matrix = gram(CentredColumns(columns) if centred else columns, samples, device)
        self.diagonal = self._matrix.diagonal()

    def parts(self, elements: int) -> Iterator[Part]:
        samples = len(self._matrix)
        for rows in portions(slice(0, samples), max(elements // samples, 1)):
            yield Part(rows, 0, samples, self._matrix[rows])

    def blocks(self, classes: Classes) -> Iterator[tuple[Block, Tensor]]:
        for block in classes.blocks():
            rows = block[1]
            yield block, self._matrix[rows[:, :, None], rows[:, None, :]]

    def centred(self) -> WholeKernel:
        return WholeKernel(self._columns, len(self._matrix), self._device, centred=True)


class StripKernel:
    """Strips of `height` rows. The columns are read once for the diagonal, once a strip whenever `parts` is begun, and
    once for each of `block_groups` whenever `blocks` is."""

    def __init__(self, columns: Columns, samples: int, device: torch.device, height: int) -> None:
        self._columns, self._samples, self._device, self._height = columns, samples, device, height
        self.dims = columns.dims
        self.diagonal = torch.zeros(samples, dtype=torch.float64, device=device)
        for block in columns.blocks():
            self.diagonal += torch.linalg.vecdot(block, block)

    def parts(self, elements: int) -> Iterator[Part]:
        room = torch.empty(self._height * self._samples, dtype=torch.float64, device=self._device)
        for rows in portions(slice(0, self._samples), self._height):
            strip = self._strip(rows, room)
            for part in portions(rows, max(elements // strip.shape[1], 1)):
                inside = slice(part.start - rows.start, part.stop - rows.start)
                yield Part(part, rows.start, rows.stop, strip[inside])

    def _strip(self, rows: slice, room: Tensor) -> Tensor:
        """K[rows, rows.start:]."""
        height, width = rows.stop - rows.start, self._samples - rows.start
        strip = room[: height * width].view(height, width).zero_()
        for block in self._columns.blocks(slice(rows.start, self._samples)):
            strip.addmm_(block[:height], block.T)
        return strip

    def blocks(self, classes: Classes) -> Iterator[tuple[Block, Tensor]]:
        for group in block_groups(classes):
            products = self._products(classes, group)
            for block in group:
                yield block, products.pop(0)

    def _products(self, classes: Classes, group: Sequence[Block]) -> list[Tensor]:
        """The groups' class blocks by one reading of the columns, of the rows that they span."""
        starts = torch.cat([classes.starts[index] for index, _, _ in group])
        first = int(starts.min())
        last = int((starts + torch.cat([classes.counts[index] for index, _, _ in group])).max())
        totals = [
            torch.zeros(*rows.shape, rows.shape[1], dtype=torch.float64, device=self._device) for _, rows, _ in group
        ]
        for columns in self._columns.blocks(slice(first, last)):
            for (_, rows, real), total in zip(group, totals, strict=True):
                _add_block(total, columns, torch.where(real, rows - first, 0))
        return [mirror(total[0])[None] if len(total) == 1 else total for total in totals]

    def centred(self) -> StripKernel:
        return StripKernel(CentredColumns(self._columns), self._samples, self._device, self._height)


def portions(of: slice, step: int) -> Iterator[slice]:
    """The slice in parts of at most `step`."""
    return (slice(start, min(start + step, of.stop)) for start in range(of.start, of.stop, step))


def bunched(items: Iterable[T], size: Callable[[T], int], most: int) -> Iterator[list[T]]:
    """Consecutive items together, at most `most` in all, unless one alone has more."""
    held, total = list[T](), 0
    for item in items:
        if held and total + size(item) > most:
            yield held
            held, total = [], 0
        held.append(item)
        total += size(item)
    if held:
        yield held


def block_groups(classes: Classes) -> Iterator[list[Block]]:
    """The class blocks that are computed together."""
    return bunched(classes.blocks(), pairs, BLOCK_ELEMENTS)


def pairs(block: Block) -> int:
    """Values of the block."""
    number, size = block[1].shape
    return number * size**2


def _add_block(total: Tensor, columns: Tensor, rows: Tensor) -> None:
    """Add F_c F_c^T (b, n, n) of the columns' rows (b, n); of one class, whose rows are one range, its upper panels."""
    number, size = rows.shape
    if number == 1:
        first = int(rows[0, 0])
        add_product(total[0], columns[first : first + size])
        return
    for some in portions(slice(0, number), max(GATHERED // (size * columns.shape[1]), 1)):
        members = columns[rows[some]]
        total[some].baddbmm_(members, members.transpose(1, 2))
