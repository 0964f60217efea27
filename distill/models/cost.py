"""What a network costs: parameters, operations, memory."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from distill import offload
from distill.layers.forward import batch_size, forward, to_device
from distill.layers.modes import evaluating


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one sample's forward pass. `flops`: floating point operations of convolutions, matrix products and
    attention, a multiply-add counting as 2 (papers' "FLOPs" are often multiply-adds: half of it). `bytes`: parameters
    and persistent buffers as they are stored."""

    parameters: int
    flops: int
    bytes: int


def cost(model: nn.Module, example: Any) -> Cost:
    """Count on a forward pass of `example` (a batch of inputs, as `distill.layers` calls models) in eval mode; the
    model's mode is restored. `flops` are those of one sample.

    On the meta device, where nothing is computed and attention is always spelled out: the CPU's fused attention is
    one operation that the counter does not know (ViT-B/16: 22.5 instead of 35.1 GFLOP). A network that reads values
    while it runs, as most language models read their mask, is counted where it is, its attention spelled out too.
    """
    with evaluating(model):
        try:
            flops = _counted(*_on_meta(model, example))
        except (NotImplementedError, RuntimeError):
            with sdpa_kernel(SDPBackend.MATH):
                flops = _counted(model, example)
    stored = model.state_dict().values()
    return Cost(
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        flops=flops // (batch_size(example) or 1),
        bytes=sum(tensor.numel() * tensor.element_size() for tensor in stored),
    )


def _on_meta(model: nn.Module, example: Any) -> tuple[nn.Module, Any]:
    """A copy of shapes without storage; the model itself is left alone."""
    memo: dict[int, object] = {id(buffer): buffer.to("meta") for buffer in model.buffers()}
    memo |= {id(p): nn.Parameter(p.to("meta"), requires_grad=False) for p in model.parameters()}
    return offload.wake(copy.deepcopy(model, memo)), to_device(example, torch.device("meta"))


def _counted(model: nn.Module, example: Any) -> int:
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        forward(model, example)
    return int(counter.get_total_flops())
