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

PANELS = 8  # row panels of the product: 1/2 + 1/16 of the full product's operations


class Columns(Protocol):
    """One layer's features (N, dims), rows sorted by class, as column blocks that can be read again."""

    @property
    def dims(self) -> int:
        """D, the columns in all."""

    def blocks(self) -> Iterator[Tensor]:
        """Float64 column blocks (N, b). A block may be overwritten by the next."""


@dataclass
class MatrixColumns:
    """Column blocks of a feature matrix in memory. `order` (N,) sorts its rows by class; None: they are sorted."""

    features: Tensor
    order: Tensor | None
    buffer_bytes: int = 32 * 2**20

    @property
    def dims(self) -> int:
        return self.features.shape[1]

    def blocks(self) -> Iterator[Tensor]:
        samples = len(self.features)
        width = block_width(samples, self.dims, self.buffer_bytes)
        # One buffer for all blocks: a fresh one each would cost its page faults, a third of the product's time.
        buffer = torch.empty(samples, width, dtype=torch.float64, device=self.features.device)
        for start in range(0, self.dims, width):
            block = self.features[:, start : start + width]
            block = block if self.order is None else block.index_select(0, self.order)
            yield buffer[:, : block.shape[1]].copy_(block)


@dataclass
class PickedColumns:
    """Some rows of others' columns: `rows` (m,), ascending positions."""

    columns: Columns
    rows: Tensor

    @property
    def dims(self) -> int:
        return self.columns.dims

    def blocks(self) -> Iterator[Tensor]:
        return (block.index_select(0, self.rows) for block in self.columns.blocks())


def block_width(samples: int, dims: int, buffer_bytes: int) -> int:
    """Columns a block: float64 blocks of `buffer_bytes`, all of nearly one size."""
    most = max(buffer_bytes // (8 * samples), 64)
    pieces = -(-dims // most)
    return -(-dims // pieces)


def gram(columns: Columns, samples: int, device: torch.device, centred: bool = False) -> Tensor:
    """K = F F^T (N, N) in float64; with `centred`, of features minus their common mean (same distances and
    covariances, no common offset to cancel). Columns that are constant are exactly zero when centred."""
    kernel = torch.zeros(samples, samples, dtype=torch.float64, device=device)
    for block in columns.blocks():
        add_product(kernel, _centre(block) if centred else block)
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
    return block - torch.where(low == high, low, block.mean(0))
