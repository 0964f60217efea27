"""The task's figures and the loss on held-out samples, with one synchronisation at the end. Several processes, all of
which must ask, take turns at the batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from distill import processes
from distill.answers import Answer, Compared
from distill.layers.forward import forward
from distill.layers.modes import evaluating
from distill.recipe_parts.base import Recipe
from distill.training.data import Source
from distill.training.meter import Meter
from distill.training.mode import Mode


@torch.no_grad()
def validate(
    student: nn.Module, source: Source, answer: Answer, mode: Mode, device: torch.device,
    weights: dict[str, Tensor] | None = None,
) -> dict[str, float]:  # fmt: skip
    """The answer's figures and the mean `loss` on the labels of the student in eval mode, with other `weights` if
    given."""
    network = student if weights is None else _With(student, weights)
    meter = Meter(answer)
    with evaluating(student):
        for compared, labels in _answers(network, _own(source), answer, mode, device):
            meter.add({"loss": answer.validation_loss(compared), "outputs": compared.outputs}, labels)
    return meter.joined().take()


@torch.no_grad()
def validate_by_teacher(
    recipe: Recipe, source: Source, teacher: Callable[[Any], dict[str, Tensor]], mode: Mode, device: torch.device,
    weights: Mapping[str, Tensor] | None = None,
) -> dict[str, float]:  # fmt: skip
    """The mean of the recipe's `loss` and its terms over held-out samples, all of it in eval mode, for an answer that
    no label teaches; of the student with other `weights` if given. `teacher`: its inputs -> targets."""
    meter, student = Meter(recipe.answer), recipe.exported()
    own = None if weights is None else {name: value.clone() for name, value in student.state_dict().items()}
    if weights is not None:
        student.load_state_dict(weights)
    try:
        with evaluating(recipe):
            for batch in _own(source):
                targets = teacher(batch.teacher)
                with mode.autocast(device):
                    parts = recipe(mode.layout(batch.student), batch.labels, targets)
                meter.add(parts, batch.labels)
    finally:
        if own is not None:
            student.load_state_dict(own)
    return meter.joined().take()


@torch.no_grad()
def tally(student: nn.Module, source: Source, answer: Answer, mode: Mode, device: torch.device) -> Tensor | None:
    """The sum of `answer.tally` over all batches, of the student in eval mode."""
    total: Tensor | None = None
    with evaluating(student):
        for compared, labels in _answers(student, source.epoch(0), answer, mode, device):
            found = answer.tally(compared.outputs, labels)
            if found is not None:
                total = found if total is None else total + found
    return total


def _own(source: Source) -> Iterator[Any]:
    """The batches that are this process's: several take turns."""
    return (batch for number, batch in enumerate(source.epoch(0)) if processes.mine(number))


def _answers(
    network: nn.Module, batches: Iterable[Any], answer: Answer, mode: Mode, device: torch.device
) -> Iterator[tuple[Compared, Any]]:
    """What is compared of every batch, with the batch's own labels."""
    for batch in batches:
        with mode.autocast(device):
            output = forward(network, mode.layout(batch.student))
        yield answer.compare(output, batch.labels), batch.labels


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
