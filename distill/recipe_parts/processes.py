"""What a recipe whose state grows with the samples needs of several processes: every one of them sees all rows."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


def _world() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def all_rows(rows: Tensor) -> Tensor:
    """The rows (n, ...) of all processes in the order of their ranks, any n in each, without a gradient; of one process
    its own. Several processes wait for each other, and for the device, to learn how many rows each has."""
    if _world() == 1:
        return rows.detach()
    counts = [torch.zeros(1, dtype=torch.long, device=rows.device) for _ in range(_world())]
    dist.all_gather(counts, torch.tensor([len(rows)], device=rows.device))
    sizes = [int(count) for count in counts]
    padded = rows.new_zeros(max(sizes), *rows.shape[1:])
    padded[: len(rows)] = rows.detach()
    gathered = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather(gathered, padded)
    return torch.cat([each[:size] for each, size in zip(gathered, sizes, strict=True)])


def mean_of_all(value: Tensor) -> Tensor:
    """The mean of a scalar over processes, without a gradient."""
    value = value.detach().clone()
    if _world() > 1:
        dist.all_reduce(value)
    return value / _world()
