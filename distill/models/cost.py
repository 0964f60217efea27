"""What a network costs: parameters, operations, memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from distill.layers._forward import batch_size, forward


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
    model's mode is restored. `flops` are those of one sample."""
    training = model.training
    model.eval()
    counter = FlopCounterMode(display=False)
    try:
        with torch.no_grad(), counter:
            forward(model, example)
    finally:
        model.train(training)
    stored = model.state_dict().values()
    return Cost(
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        flops=counter.get_total_flops() // (batch_size(example) or 1),
        bytes=sum(tensor.numel() * tensor.element_size() for tensor in stored),
    )
