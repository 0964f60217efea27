"""Exponential moving average of the student's weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from distill.training.sharding import copy_into, local


class Ema:
    """shadow <- d shadow + (1 - d) weights after every optimiser step, d = min(decay, (1 + t) / (10 + t)).

    The ramp keeps the random initial weights from lingering in short runs (**our choice**). Floating tensors of the
    state dict, running statistics included, are averaged; integer ones are copied.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.shadow = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        averaged: list[Tensor] = []
        current: list[Tensor] = []
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                averaged.append(local(self.shadow[name]))
                current.append(local(value))
            else:
                self.shadow[name].copy_(value)
        if averaged:
            torch._foreach_lerp_(averaged, current, 1 - decay)

    def load(self, shadow: dict[str, Tensor]) -> None:
        for name, value in shadow.items():
            copy_into(self.shadow[name], value)
