"""Samples grouped by class: a row order in which classes are contiguous, and padded index blocks of similar classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from distill.errors import InvalidConfig, InvalidDataset
from distill.scoring_memory import BLOCK_ELEMENTS


@dataclass(frozen=True)
class Classes:
    """`order` (N,) sorts the samples by class; `sorted` (N,) is the class 0..C-1 of each sorted row; `counts` and
    `starts` (C,) are each class's rows."""

    order: Tensor
    sorted: Tensor
    counts: Tensor
    starts: Tensor

    @property
    def number(self) -> int:
        return len(self.counts)

    @property
    def samples(self) -> int:
        return len(self.sorted)

    def to(self, device: torch.device) -> Classes:
        return Classes(*(t.to(device) for t in (self.order, self.sorted, self.counts, self.starts)))

    def of(self, counted: Tensor) -> tuple[Classes, Tensor]:
        """Of the samples that count, `counted` (N,) bool in their own order: their classes, and their positions among
        the sorted rows. Raises `InvalidDataset` for fewer than two classes."""
        rows = counted.to(self.order.device)[self.order].nonzero()[:, 0]
        return group(self.sorted[rows]).to(self.order.device), rows

    def blocks(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """(classes (b,), rows (b, n), real (b, n)): classes of similar size together, padded to the largest with row
        0 where `real` is False, at most `BLOCK_ELEMENTS` pairs at once unless one class alone has more."""
        by_size = torch.argsort(self.counts, stable=True).tolist()
        sizes = self.counts.tolist()
        first = 0
        while first < len(by_size):
            last = first + 1
            while last < len(by_size) and self._together(sizes[by_size[first]], sizes[by_size[last]], last - first + 1):
                last += 1
            yield self._block(torch.tensor(by_size[first:last], device=self.counts.device))
            first = last

    @staticmethod
    def _together(smallest: int, largest: int, number: int) -> bool:
        return largest <= 1.25 * smallest and number * largest**2 <= BLOCK_ELEMENTS

    def _block(self, classes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        sizes = self.counts[classes]
        columns = torch.arange(int(sizes.max()), device=classes.device)
        real = columns < sizes[:, None]
        return classes, torch.where(real, self.starts[classes][:, None] + columns, 0), real


def check_train_size(train_size: int) -> None:
    """Raise `InvalidConfig` for a size M of the training set whose root (M / pi)^(1 / G) has no meaning."""
    if train_size < 1:
        raise InvalidConfig(
            f"A training set of {train_size} samples has none to score.",
            "Give the size of the whole training set, 1 or more.",
            {"train_size": train_size},
        )


def group(labels: Tensor | Sequence[int]) -> Classes:
    """Group samples by label, on the CPU. Raises `InvalidDataset` for fewer than two classes."""
    labels = torch.as_tensor(labels).cpu()
    if labels.ndim != 1 or labels.is_floating_point() or len(labels) < 2:
        raise InvalidConfig(
            f"Labels must be one integer a sample, at least two; got shape {tuple(labels.shape)} of {labels.dtype}.",
            "Give class indices of shape (N,).",
        )
    order = torch.argsort(labels, stable=True)
    _, inverse, counts = torch.unique(labels, return_inverse=True, return_counts=True)
    if len(counts) < 2:
        raise InvalidDataset(
            "The samples are all of one class; separation needs at least two.",
            "Sample more classes, or check the labels.",
            {"samples": len(labels)},
        )
    return Classes(order, inverse[order], counts, torch.cumsum(counts, 0) - counts)
