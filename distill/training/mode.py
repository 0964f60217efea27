"""How a network is run: precision, memory format, compilation."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Mode:
    """`precision` fp32, bf16 or fp16 (autocast; weights, optimiser and losses stay in fp32), memory format,
    compilation."""

    precision: str = "fp32"
    channels_last: bool = False
    compile: bool = False

    def autocast(self, device: torch.device) -> AbstractContextManager[Any]:
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(device.type, dtype=HALVES[self.precision])

    def scaler(self, device: torch.device) -> torch.amp.GradScaler:
        """What scales the loss, so that gradients do not vanish in fp16, whose smallest number is 6e-8; a step whose
        gradient overflows is left out, and the scale halved. Does nothing in fp32 and bf16."""
        return torch.amp.GradScaler(device.type, enabled=self.precision == "fp16")

    @property
    def memory_format(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def prepare(self, module: nn.Module) -> None:
        """Lay out the module's 4-D parameters, in place; values and names are unchanged."""
        module.to(memory_format=self.memory_format)  # type: ignore[call-overload]

    def layout(self, value: Any) -> Any:
        """Lay out an input's image tensors; everything else passes through."""
        if isinstance(value, Tensor):
            return value.contiguous(memory_format=self.memory_format) if value.dim() == 4 else value
        if isinstance(value, tuple):  # of a set of teachers
            return tuple(map(self.layout, value))
        return {key: self.layout(item) for key, item in value.items()} if isinstance(value, dict) else value

    def __str__(self) -> str:
        parts = [self.precision, "channels_last" if self.channels_last else "contiguous"]
        return " ".join(parts + ["compiled"] * self.compile)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
