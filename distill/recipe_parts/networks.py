"""Running a network whatever its input and output look like; recipes look only at features and logits."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from distill.answers import logits_of
from distill.layers.forward import forward, to_device


def run_logits(network: nn.Module, network_input: Any) -> Tensor:
    """`forward`, then `logits_of`."""
    return logits_of(forward(network, network_input))


def beside(network: nn.Module, network_input: Any) -> Any:
    """The input on the device of the network's first parameter; as it is where there is none."""
    parameter = next(network.parameters(), None)
    return network_input if parameter is None else to_device(network_input, parameter.device)
