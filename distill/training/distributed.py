"""Several processes, one training job: gradients and batch statistics by all-reduce, decisions by rank 0.

Every process sees its share of each batch, and its gradient counts by its predictions: samples, or of decoders the
tokens of the answers (`Answer.weight`), as accumulated batches do. Terms that are means over them give
the gradient of the whole batch. Not exactly so, since one loss has one weight (**our choice**): a decoder's feature
term where its features are read one row a sample (`cls`, `mean`, `last`), and a classifier's where they are read token
by token; each such share counts like its predictions. Losses that compare rows of a batch with each other (those
without a projector, recipes whose `compares_samples` says so) see the share only.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch.distributed.nn.functional import all_reduce
from torch.overrides import TorchFunctionMode

T = TypeVar("T")


def active() -> bool:
    return dist.is_available() and dist.is_initialized()


def rank() -> int:
    return dist.get_rank() if active() else 0


def world() -> int:
    return dist.get_world_size() if active() else 1


@contextmanager
def group() -> Iterator[int]:
    """Joins the group that `torchrun` describes in the environment (NCCL where every process has a GPU, else gloo)
    for the time of the block; gives the rank. Without such an environment: one process, rank 0."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or active():
        yield rank()
        return
    local = int(os.environ.get("LOCAL_RANK", "0"))
    gpu = torch.cuda.is_available() and local < torch.cuda.device_count()
    if gpu:
        torch.cuda.set_device(local)
    dist.init_process_group("nccl" if gpu else "gloo")
    try:
        yield rank()
    finally:
        dist.destroy_process_group()


def agree(decide: Callable[[], T]) -> T:
    """Rank 0's decision, on every rank. The others wait."""
    if world() == 1:
        return decide()
    box = [decide() if rank() == 0 else None]
    dist.broadcast_object_list(box, src=0)
    return box[0]  # type: ignore[return-value]


def any_of(flags: Sequence[bool], device: torch.device) -> list[bool]:
    """For each flag, whether any process raised it."""
    raised = torch.tensor(flags, dtype=torch.int32, device=device)
    dist.all_reduce(raised, op=dist.ReduceOp.MAX)
    return [bool(flag) for flag in raised.tolist()]


def total(values: Tensor) -> Tensor:
    """The sum over processes."""
    if world() > 1:
        dist.all_reduce(values)
    return values


def average_gradients(gradients: Sequence[Tensor], share: int | Tensor) -> None:
    """Replace every gradient by its mean over all predictions of the step: one all-reduce of one flat tensor.

    `share`: this process's predictions in the step, by which its gradients are weighted. Without any prediction in any
    process the mean is 0.
    """
    if world() == 1:
        return
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients]) * share
    flat = total(torch.cat([flat, torch.as_tensor(share, dtype=flat.dtype, device=flat.device).view(1)]))
    offset, predictions = 0, at_least_one(flat[-1])
    for gradient in gradients:
        size = gradient.numel()
        gradient.copy_((flat[offset : offset + size] / predictions).view_as(gradient))
        offset += size


def at_least_one(count: int | Tensor) -> int | Tensor:
    """A count to divide by: 0 / 0 shall be 0."""
    return count.clamp(min=1) if isinstance(count, Tensor) else max(count, 1)


def synced_batch_norm() -> AbstractContextManager[Any]:
    """Inside, batch normalisation in training mode uses the statistics of the whole batch, not of the share."""
    return _SyncedBatchNorm() if world() > 1 else nullcontext()


class _SyncedBatchNorm(TorchFunctionMode):
    """torch's own SyncBatchNorm refuses CPU tensors and must replace modules; this works on the call."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is F.batch_norm:  # what modules call; seen before torch.batch_norm, which it calls
            call = _BATCH_NORM.bind(*args, **(kwargs or {}))
            call.apply_defaults()
            if call.arguments["training"]:
                return _batch_norm(*call.arguments.values())
        return func(*args, **(kwargs or {}))


_BATCH_NORM = inspect.signature(F.batch_norm)


def _batch_norm(
    x: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None, bias: Tensor | None,
    _: bool, momentum: float, eps: float,
) -> Tensor:  # fmt: skip
    """x: (n, c, ...). y = (x - mean) / sqrt(var + eps) * weight + bias per channel, mean and (biased) var over all
    processes; the running variance is the unbiased one, as in `torch.nn.BatchNorm2d`. Gradients flow through both."""
    axes = [0, *range(2, x.dim())]
    shape = [1, -1] + [1] * (x.dim() - 2)
    wide = x.float()
    count = _sum(wide.new_tensor([wide.numel() / wide.shape[1]]))
    mean = _sum(wide.sum(axes)) / count
    centred = wide - mean.view(shape)
    var = _sum(centred.square().sum(axes)) / count
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            running_var.lerp_((var * count / (count - 1)).to(running_var.dtype), momentum)
    y: Tensor = centred * (var + eps).rsqrt().view(shape)
    if weight is not None and bias is not None:
        y = y * weight.view(shape) + bias.view(shape)
    return y.to(x.dtype)


def _sum(values: Tensor) -> Tensor:
    """The sum over processes, with gradient."""
    summed: Tensor = all_reduce(values)  # type: ignore[no-untyped-call]
    return summed
