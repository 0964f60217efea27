"""How the processes of one job train together: the group, gradients, and statistics of the whole batch.

Every process sees its share of each batch, and its gradient counts by its predictions: samples, or of decoders the
tokens of the answers (`Answer.weight`), as accumulated batches do. Terms that are means over them give
the gradient of the whole batch. So do losses that compare samples: they see those of all processes
(`distill.processes.sharing`). Not exactly so, since one loss has one weight (**our choice**): a decoder's feature
term where its features are read one row a sample (`cls`, `mean`, `last`), and a classifier's where they are read token
by token; each such share counts like its predictions.
"""

from __future__ import annotations

import importlib
import inspect
import os
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules._functions import SyncBatchNorm
from torch.nn.parallel import DistributedDataParallel
from torch.overrides import TorchFunctionMode

from distill.processes import active, agree, any_of, rank, sharing, summed, total, world
from distill.training.sharding import is_sharded

__all__ = ["active", "agree", "any_of", "follow", "group", "held_back", "in_shares", "mean_weight", "parallel", "rank",
           "sharded", "total", "whole_batch", "world"]  # fmt: skip
GLOO_THREADS = 2
PATIENCE = timedelta(days=7)
"""How long a process waits for another: rank 0 may package for hours. Who started the group sees who dies."""


@contextmanager
def group() -> Iterator[int]:
    """Joins the group that torch's launcher describes in the environment (NCCL where every process has a GPU, else
    gloo) for the time of the block; gives the rank. Without such an environment: one process, rank 0."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or active():
        yield rank()
        return
    local = int(os.environ.get("LOCAL_RANK", "0"))
    gpu = torch.cuda.is_available() and local < torch.cuda.device_count()
    if gpu:
        torch.cuda.set_device(local)
    # torch's compiler, which an optimiser loads, must come before the group's threads: torch aborts at exit else.
    importlib.import_module("torch._dynamo")
    dist.init_process_group("nccl" if gpu else "gloo", timeout=PATIENCE)
    try:
        yield rank()
        if not gpu:
            _settle()
    finally:
        dist.destroy_process_group()


def _settle() -> None:
    """Wait until gloo's threads have let go of the tensors of the last work: one that still does while Python exits
    aborts the process, since tensors in shares keep a group alive behind its destruction (seen with torch 2.13)."""
    for work in [dist.barrier(async_op=True) for _ in range(GLOO_THREADS)]:
        work.wait()


_shares = False


@contextmanager
def in_shares(asked: bool = True) -> Iterator[None]:
    """Inside, what several processes train lies in shares on them (`distill.training.sharding`), if `asked`."""
    global _shares
    before, _shares = _shares, asked
    try:
        yield
    finally:
        _shares = before


def sharded() -> bool:
    """Whether what is trained lies in shares: of one process it does not."""
    return _shares and world() > 1


def parallel(trained: nn.Module) -> nn.Module:
    """The module as torch's `DistributedDataParallel`, which sends gradients in buckets while the backward pass still
    runs; of one process, and of one in shares, itself. Buffers stay as each process has them: statistics of batches are
    of whole ones. A parameter that a step does not reach in any process keeps no gradient. Which these are
    is looked for in every step (docs/log.md: what that costs, and why not once)."""
    if world() == 1 or is_sharded(trained):
        return trained
    with warnings.catch_warnings():
        # torch 2.13 has another name for `broadcast_buffers`, which earlier ones do not know.
        warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
        return DistributedDataParallel(
            trained, broadcast_buffers=False, find_unused_parameters=True, gradient_as_bucket_view=True
        )


def follow(module: nn.Module) -> None:
    """Give every process the first one's parameters and buffers."""
    for value in module.state_dict().values() if world() > 1 else ():
        # A copy where the memory format is another, or the device: NCCL sends what lies on one.
        dense = (value.cuda() if dist.get_backend() == "nccl" else value).contiguous()
        dist.broadcast(dense, src=0)
        value.copy_(dense)


def held_back(trained: nn.Module, hold: bool) -> AbstractContextManager[Any]:
    """Inside, gradients stay in this process: more batches of the same step follow. Of a network in shares each process
    keeps the sum of its own share alone, which takes a reduction a batch and not the memory of all gradients."""
    return trained.no_sync() if hold and isinstance(trained, DistributedDataParallel) else nullcontext()


def mean_weight(share: int | Tensor, device: torch.device) -> int | Tensor:
    """What to divide the weighted losses of this process's step by, so that the mean of the processes' gradients is the
    mean over all predictions: these, divided by the number of processes. `share`: this process's. At least one
    prediction is counted, so that without any the gradient is 0."""
    if world() == 1:
        return at_least_one(share)
    every = torch.as_tensor(share, dtype=torch.float32, device=device).clone()
    return total(every).clamp(min=1) / world()


def at_least_one(count: int | Tensor) -> int | Tensor:
    """A count to divide by: 0 / 0 shall be 0."""
    return count.clamp(min=1) if isinstance(count, Tensor) else max(count, 1)


def whole_batch() -> AbstractContextManager[Any]:
    """Inside, losses that compare samples and batch normalisation in training mode see the whole batch, not the
    share."""
    if world() == 1:
        return nullcontext()
    stack = ExitStack()
    stack.enter_context(sharing())
    stack.enter_context(_SyncedBatchNorm())
    return stack


class _SyncedBatchNorm(TorchFunctionMode):
    """torch's own synchronised batch normalisation, on the call: the networks keep their modules, of which libraries
    have kinds that torch's `convert_sync_batchnorm` would replace by another function. It refuses CPU tensors; for them
    there is `_batch_norm`."""

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
    if x.is_cuda:
        given = (x, weight, bias, running_mean, running_var, eps, momentum, dist.group.WORLD, world())
        normalised: Tensor = SyncBatchNorm.apply(*given)  # type: ignore[no-untyped-call]
        return normalised
    axes = [0, *range(2, x.dim())]
    shape = [1, -1] + [1] * (x.dim() - 2)
    wide = x.float()
    count = summed(wide.new_tensor([wide.numel() / wide.shape[1]]))
    mean = summed(wide.sum(axes)) / count
    centred = wide - mean.view(shape)
    var = summed(centred.square().sum(axes)) / count
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            running_var.lerp_((var * count / (count - 1)).to(running_var.dtype), momentum)
    y: Tensor = centred * (var + eps).rsqrt().view(shape)
    if weight is not None and bias is not None:
        y = y * weight.view(shape) + bias.view(shape)
    return y.to(x.dtype)
