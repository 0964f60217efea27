"""Gram matrices in float64 from column blocks: half of one symmetric matrix product, exact to a few ulp of the norms.

float64 throughout, on purpose: with only the upper triangle computed it costs about one full float32 product, and
needs neither compensation nor a second pass in any but degenerate layers (`refine`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from distill.scoring_memory import PANELS

ALL = slice(None)


class Columns(Protocol):
    """One layer's features (N, dims), rows sorted by class, as column blocks that can be read again."""

    @property
    def dims(self) -> int:
        """D, the columns in all."""

    def blocks(self, rows: slice = ALL) -> Iterator[Tensor]:
        """Float64 column blocks (n, b) of some rows, from left to right. A block is its reader's to change, and may be
        overwritten by the next."""


@dataclass
class MatrixColumns:
    """Column blocks of a feature matrix in memory. `order` (N,) sorts its rows by class; None: they are sorted."""

    features: Tensor
    order: Tensor | None
    buffer_bytes: int = 32 * 2**20

    @property
    def dims(self) -> int:
        return self.features.shape[1]

    def blocks(self, rows: slice = ALL) -> Iterator[Tensor]:
        samples = len(range(*rows.indices(len(self.features))))
        width = block_width(samples, self.dims, self.buffer_bytes)
        # One buffer for all blocks: a fresh one each would cost its page faults, a third of the product's time.
        buffer = torch.empty(samples * width, dtype=torch.float64, device=self.features.device)
        for start in range(0, self.dims, width):
            block = self.features[:, start : start + width]
            block = block[rows] if self.order is None else block.index_select(0, self.order[rows])
            yield buffer[: block.numel()].view(block.shape).copy_(block)


@dataclass
class PickedColumns:
    """Some rows of others' columns: `rows` (m,), ascending positions."""

    columns: Columns
    rows: Tensor

    @property
    def dims(self) -> int:
        return self.columns.dims

    def blocks(self, rows: slice = ALL) -> Iterator[Tensor]:
        picked = self.rows[rows]
        first, last = int(picked[0]), int(picked[-1])
        return (block.index_select(0, picked - first) for block in self.columns.blocks(slice(first, last + 1)))


class CentredColumns:
    """Others' columns minus each one's mean. Those that are constant are exactly zero."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._centre: Tensor | None = None  # (dims,), once all rows were read

    @property
    def dims(self) -> int:
        return self._columns.dims

    def blocks(self, rows: slice = ALL) -> Iterator[Tensor]:
        if rows == ALL:
            yield from self._all_rows()
            return
        if self._centre is None:
            for _ in self._all_rows():
                pass
        assert self._centre is not None
        start = 0
        for block in self._columns.blocks(rows):
            yield block.sub_(self._centre[start : start + block.shape[1]])
            start += block.shape[1]

    def _all_rows(self) -> Iterator[Tensor]:
        centres = list[Tensor]()
        for block in self._columns.blocks():
            centres.append(_centre(block))
            yield block.sub_(centres[-1])
        self._centre = torch.cat(centres)


def block_width(samples: int, dims: int, buffer_bytes: int) -> int:
    """Columns a block: float64 blocks of `buffer_bytes`, all of nearly one size."""
    most = max(buffer_bytes // (8 * samples), 64)
    pieces = -(-dims // most)
    return -(-dims // pieces)


def gram(columns: Columns, samples: int, device: torch.device) -> Tensor:
    """K = F F^T (N, N) in float64."""
    kernel = torch.zeros(samples, samples, dtype=torch.float64, device=device)
    for block in columns.blocks():
        add_product(kernel, block)
    return mirror(kernel)


def add_product(kernel: Tensor, block: Tensor) -> None:
    """Add block @ block^T to the upper triangle (whole panels) of `kernel`."""
    samples = len(kernel)
    height = -(-samples // PANELS)
    for start in range(0, samples, height):
        kernel[start : start + height, start:].addmm_(block[start : start + height], block[start:].T)


def mirror(kernel: Tensor) -> Tensor:
    """Copy the upper triangle onto the lower, panel by panel (no second N x N matrix)."""
    samples = len(kernel)
    height = -(-samples // PANELS)
    for start in range(0, samples, height):
        stop = min(start + height, samples)
        corner = kernel[start:stop, start:stop]
        corner.copy_(corner.triu() + corner.triu(1).T)
        kernel[stop:, start:stop] = kernel[start:stop, stop:].T
    return kernel


def _centre(block: Tensor) -> Tensor:
    low, high = torch.aminmax(block, dim=0)
    return torch.where(low == high, low, block.mean(0))
