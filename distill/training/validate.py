"""Accuracy and loss on held-out samples, with one synchronisation at the end."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from distill.recipes._networks import answered, run_logits
from distill.training.data import Source
from distill.training.meter import Meter
from distill.training.mode import Mode


@torch.no_grad()
def validate(
    student: nn.Module, source: Source, mode: Mode, device: torch.device, weights: dict[str, Tensor] | None = None
) -> dict[str, float]:
    """Mean `loss` (cross-entropy) and `accuracy` of the student in eval mode, with other `weights` if given."""
    network = student if weights is None else _With(student, weights)
    training = student.training
    student.eval()
    meter = Meter()
    for batch in source.epoch(0):
        with mode.autocast(device):
            logits = run_logits(network, mode.layout(batch.student))
        logits, labels, _ = answered(logits, batch.labels)
        meter.add({"loss": F.cross_entropy(logits.float(), labels), "logits": logits}, labels)
    student.train(training)
    return meter.take()


class _With(nn.Module):
    """A network evaluated with other tensors in place of its own (the averaged ones)."""

    def __init__(self, network: nn.Module, weights: dict[str, Tensor]) -> None:
        super().__init__()

        def call(args: Any, kwargs: Any) -> Any:
            return functional_call(network, weights, args, kwargs)

        self._call = call

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(args, kwargs)
