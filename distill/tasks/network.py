"""A network of a run, with how it sees its inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from distill.layers.forward import to_device
from distill.types import Architecture


@dataclass(frozen=True)
class Network:
    """`preprocessing`: the modality's own, with `example(count)` and `one()`. `recipe` says how the network was
    trained, `digest` is its file's sha256 if it has one, `bytes` that file's size; `tokens`: a language model's
    tokenizer; `label`: what it is called for people; `members`: of a set of networks (`distill.tasks.teacher_set`)."""

    module: nn.Module
    architecture: Architecture
    preprocessing: Any
    recipe: str = ""
    digest: str = ""
    bytes: int | None = None
    tokens: Any = None
    label: str = ""
    members: tuple[Network, ...] = ()

    def example(self, count: int, device: torch.device) -> Any:
        """A batch of made-up inputs, which draw nothing from torch's global generator."""
        return to_device(self.preprocessing.example(count), device)

    def one(self, device: torch.device) -> Any:
        """A single input of the size that costs are told for."""
        return to_device(self.preprocessing.one(), device)
