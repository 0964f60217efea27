"""Several processes, one training job: gradients averaged by all-reduce, decisions made by rank 0."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")


def active() -> bool:
    return dist.is_available() and dist.is_initialized()


def rank() -> int:
    return dist.get_rank() if active() else 0


def world() -> int:
    return dist.get_world_size() if active() else 1


def agree(decide: Callable[[], T]) -> T:
    """Rank 0's decision, on every rank. The others wait."""
    if world() == 1:
        return decide()
    box = [decide() if rank() == 0 else None]
    dist.broadcast_object_list(box, src=0)
    decided = box[0]
    assert decided is not None
    return decided


def average_gradients(gradients: Iterable[Tensor]) -> None:
    """Replace every gradient by its mean over the processes: one all-reduce of one flat tensor per dtype.

    With equal shares of a batch on every rank and losses that are means over samples this is the gradient of the
    whole batch.
    """
    if world() == 1:
        return
    grads = list(gradients)
    flat = torch.cat([gradient.reshape(-1) for gradient in grads])
    dist.all_reduce(flat)
    flat /= world()
    offset = 0
    for gradient in grads:
        gradient.copy_(flat[offset : offset + gradient.numel()].view_as(gradient))
        offset += gradient.numel()
