"""The task's figures and the loss on held-out samples, with one synchronisation at the end. Several processes, all of
which must ask, take turns at the batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
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
from distill.training import sharding
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
    meter = Meter(answer)
    with _wearing(student, weights) as network, evaluating(student):
        for batch, counts in _own(source, sharding.is_sharded(student)):
            compared, labels = _answer(network, batch, answer, mode, device)
            if counts:
                meter.add({"loss": answer.validation_loss(compared), "outputs": compared.outputs}, labels)
    return meter.joined().take()


@torch.no_grad()
def validate_by_teacher(
    recipe: Recipe, source: Source, teacher: Callable[[Any], dict[str, Tensor]], mode: Mode, device: torch.device,
    weights: Mapping[str, Tensor] | None = None,
) -> dict[str, float]:  # fmt: skip
    """The mean of the recipe's `loss` and its terms over held-out samples, all of it in eval mode, for an answer that
    no label teaches; of the student with other `weights` if given. `teacher`: its inputs -> targets."""
    meter = Meter(recipe.answer)
    with _put_on(recipe.exported(), weights), evaluating(recipe):
        for batch, counts in _own(source, sharding.is_sharded(recipe)):
            targets = teacher(batch.teacher)
            with mode.autocast(device):
                parts = recipe(mode.layout(batch.student), batch.labels, targets)
            if counts:
                meter.add(parts, batch.labels)
    return meter.joined().take()


@torch.no_grad()
def tally(student: nn.Module, source: Source, answer: Answer, mode: Mode, device: torch.device) -> Tensor | None:
    """The sum of `answer.tally` over all batches, of the student in eval mode."""
    total: Tensor | None = None
    with evaluating(student):
        for batch in source.epoch(0):
            compared, labels = _answer(student, batch, answer, mode, device)
            found = answer.tally(compared.outputs, labels)
            if found is not None:
                total = found if total is None else total + found
    return total


def _own(source: Source, together: bool = False) -> Iterator[tuple[Any, bool]]:
    """The batches that are this process's, and whether they count: several take turns. `together`: all must run equally
    often, so one that has none of the last turn takes another's, which does not count."""
    number, batch = -1, None
    for number, batch in enumerate(source.epoch(0)):
        if processes.mine(number):
            yield batch, True
    last = number % processes.world()
    if together and batch is not None and processes.rank() > last:
        yield batch, False


def _answer(network: nn.Module, batch: Any, answer: Answer, mode: Mode, device: torch.device) -> tuple[Compared, Any]:
    """What is compared of the batch, with its own labels."""
    with mode.autocast(device):
        output = forward(network, mode.layout(batch.student))
    return answer.compare(output, batch.labels), batch.labels


@contextmanager
def _wearing(network: nn.Module, weights: Mapping[str, Tensor] | None) -> Iterator[nn.Module]:
    """The network with other tensors in place of its own, if given: of one in shares they are put on it meanwhile."""
    if weights is None or not sharding.is_sharded(network):
        yield network if weights is None else _With(network, weights)
        return
    with _put_on(network, weights):
        yield network


@contextmanager
def _put_on(network: nn.Module, weights: Mapping[str, Tensor] | None) -> Iterator[None]:
    """Inside, the network has other tensors in place of its own, if given."""
    if weights is None:
        yield
        return
    own = {name: value.clone() for name, value in network.state_dict().items()}
    sharding.load(network, weights)
    try:
        yield
    finally:
        sharding.load(network, own)


class _With(nn.Module):
    """A network evaluated with other tensors in place of its own (the averaged ones)."""

    def __init__(self, network: nn.Module, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        # A state dict names a tied tensor twice, and functional_call wants it once: it ties the other names itself.
        named = chain(network.named_parameters(), network.named_buffers())
        own = {name: weights[name] for name, _ in named if name in weights}

        def call(args: Any, kwargs: Any) -> Any:
            return functional_call(network, own, args, kwargs)

        self._call = call

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(args, kwargs)
