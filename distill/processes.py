"""The processes that train one job together, as every part of a run may ask of them.

One process alone has rank 0 of 1, and every function here is then nothing or the identity. How a group is joined, and
how gradients meet, is in `distill.training.distributed`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

T = TypeVar("T")
Item = TypeVar("Item")


_apart = False


@contextmanager
def alone() -> Iterator[None]:
    """Inside the block this process is rank 0 of 1, whatever its group is: for what one process does by itself."""
    global _apart
    before, _apart = _apart, True
    try:
        yield
    finally:
        _apart = before


def active() -> bool:
    return not _apart and dist.is_available() and dist.is_initialized()


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
    return box[0]  # type: ignore[return-value]


def gathered(value: T) -> list[T]:
    """What every rank has, in their order, on every rank."""
    if world() == 1:
        return [value]
    box: list[Any] = [None] * world()
    dist.all_gather_object(box, value)
    return box


def any_of(flags: Sequence[bool], device: torch.device) -> list[bool]:
    """For each flag, whether any process raised it."""
    raised = torch.tensor(flags, dtype=torch.int32, device=device)
    if world() > 1:
        dist.all_reduce(raised, op=dist.ReduceOp.MAX)
    return [bool(flag) for flag in raised.tolist()]


def total(values: Tensor) -> Tensor:
    """The sum over processes, in place."""
    if world() > 1:
        dist.all_reduce(values)
    return values


def summed(values: Tensor) -> Tensor:
    """The sum over processes, with gradient: what flows back into it flows to every process."""
    found: Tensor = _Sum.apply(values)  # type: ignore[no-untyped-call]
    return found


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return total(values.contiguous().clone())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return total(gradient.contiguous().clone())


# ---- work that is dealt out


def mine(number: int) -> bool:
    """Whether the work of this number is this process's, where all have the same list and take turns."""
    return number % world() == rank()


def dealt(items: Iterable[Item], work: Callable[[Item], T]) -> list[T]:
    """`work` of every item, in their order, on every rank; each rank does its part. All must have the same items."""
    own = [work(item) for number, item in enumerate(items) if mine(number)]
    parts = gathered(own)
    return [parts[number % world()][number // world()] for number in range(sum(map(len, parts)))]


# ---- a batch of which every process has a share

_together = False


_eager: dict[str, Callable[[Tensor], Tensor]] = {}
"""What compiled code calls uncompiled. Filled when a batch is first shared and not on import, since torch loads its
whole compiler for it."""


@contextmanager
def sharing(together: bool = True) -> Iterator[None]:
    """Inside, all processes work on shares of one batch, so that what is a fact of the batch is found from all of them:
    `whole`, `mean_of_whole`. All must do the same. `together` False: inside, what is compared lies in one share."""
    global _together
    before, _together = _together, together and world() > 1
    if _together and not _eager:
        disable: Callable[[Any], Any] = torch.compiler.disable
        _eager.update(rows=disable(_rows_of_all), mean=disable(_mean_of_all))
    try:
        yield
    finally:
        _together = before


def shares() -> bool:
    """Whether this process holds but a share of the batch."""
    return _together


def whole(rows: Tensor) -> Tensor:
    """The rows (n, ...) of the whole batch in its order, any n in each process; with gradient. Waits for the device, to
    learn how many rows each has. Of a batch that is not shared its own."""
    return _eager["rows"](rows) if _together else rows


def _rows_of_all(rows: Tensor) -> Tensor:
    sizes = _sizes(len(rows), rows.device)
    before = sum(sizes[: rank()])
    placed = F.pad(rows, [0, 0] * (rows.dim() - 1) + [before, sum(sizes) - before - len(rows)])
    if rows.dtype == torch.bool:
        return total(placed.to(torch.uint8)).bool()
    return summed(placed) if rows.requires_grad else total(placed.contiguous())  # x + 0 is x, to the bit


def _sizes(rows: int, device: torch.device) -> list[int]:
    counts = torch.zeros(world(), dtype=torch.long, device=device)
    counts[rank()] = rows
    return [int(count) for count in total(counts).tolist()]


def mean_of_whole(values: Tensor) -> Tensor:
    """The mean of all elements of the whole batch, without a gradient."""
    return _eager["mean"](values.detach()) if _together else values.detach().mean()


def _mean_of_all(values: Tensor) -> Tensor:
    both = total(torch.stack([values.double().sum(), values.new_tensor(values.numel(), dtype=torch.double)]))
    return (both[0] / both[1]).to(values.dtype)
