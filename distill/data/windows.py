"""A shuffle that keeps what is read together close: groups (shards) in random order, samples mixed within windows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

WINDOW = 16
"""Groups that are mixed with each other (**our choice**): of shards with 1,000 images each 16,000, far more than a
batch, while a job needs only two windows of shards at a time on its disk. Part of the order, so no setting of a host.
"""


@dataclass(frozen=True, slots=True)
class Windows:
    """`groups` (n,), int64: the group of each position. `size`: how many groups are mixed with each other."""

    groups: Tensor
    size: int = WINDOW

    def of(self, indices: Tensor) -> Windows:
        """Of the positions `indices` alone."""
        return Windows(self.groups[indices], self.size)

    def arranged(self, order: Tensor, generator: torch.Generator) -> Tensor:
        """Positions `order` (m,), int64, in any random order -> the same positions, window after window: the groups
        are shuffled, every `size` of them in turn are a window, and within a window `order` holds. Depends on `order`
        and the generator alone."""
        _, numbers = torch.unique(self.groups, return_inverse=True)
        groups = int(numbers.max()) + 1 if len(numbers) else 0
        places = torch.randperm(groups, generator=generator)
        windows = places[numbers] // self.size
        return order[windows[order].argsort(stable=True)]
