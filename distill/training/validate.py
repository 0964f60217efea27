"""Accuracy and loss on held-out samples, with one synchronisation at the end."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from distill.layers._modes import evaluating
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
    meter = Meter()
    with evaluating(student):
        for logits, labels in _answers(network, source, mode, device):
            meter.add({"loss": F.cross_entropy(logits.float(), labels), "logits": logits}, labels)
    return meter.take()


@torch.no_grad()
def class_counts(student: nn.Module, source: Source, mode: Mode, device: torch.device) -> tuple[Tensor, Tensor]:
    """(C,) each: how often every class is the label, and how often the student in eval mode predicts it."""
    true, predicted = torch.zeros(2, 0)
    with evaluating(student):
        for logits, labels in _answers(student, source, mode, device):
            classes = logits.shape[1]
            if not len(true):
                true, predicted = torch.zeros(2, classes, dtype=torch.long, device=labels.device)
            true += torch.bincount(labels, minlength=classes)
            predicted += torch.bincount(logits.argmax(1), minlength=classes)
    return true, predicted


def _answers(network: nn.Module, source: Source, mode: Mode, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """Logits (m, C) and labels (m,) of every batch."""
    for batch in source.epoch(0):
        with mode.autocast(device):
            logits = run_logits(network, mode.layout(batch.student))
        logits, labels, _ = answered(logits, batch.labels)
        yield logits, labels


class _With(nn.Module):
    """A network evaluated with other tensors in place of its own (the averaged ones)."""

    def __init__(self, network: nn.Module, weights: dict[str, Tensor]) -> None:
        super().__init__()
        # A state dict names a tied tensor twice, and functional_call wants it once: it ties the other names itself.
        named = chain(network.named_parameters(), network.named_buffers())
        own = {name: weights[name] for name, _ in named if name in weights}

        def call(args: Any, kwargs: Any) -> Any:
            return functional_call(network, own, args, kwargs)

        self._call = call

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(args, kwargs)
