"""Running a network whatever its input and output look like; recipes look only at features and logits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from distill.answers import logits_of
from distill.layers.forward import forward, to_device


def run_logits(network: nn.Module, network_input: Any) -> Tensor:
    """`forward`, then `logits_of`."""
    return logits_of(forward(network, network_input))


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """`eval()` inside the block, so that no batch statistics move; every module's own mode comes back after it."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def beside(network: nn.Module, network_input: Any) -> Any:
    """The input on the device of the network's first parameter; as it is where there is none."""
    parameter = next(network.parameters(), None)
    return network_input if parameter is None else to_device(network_input, parameter.device)
