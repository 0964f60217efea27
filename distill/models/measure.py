"""What a network costs, counted on the meta device: nothing is allocated and nothing computed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from distill.estimate import NetworkCost
from distill.models.build import skeleton
from distill.models.preprocessing import preprocessing
from distill.models.sizes import FORWARD_ERRORS, run_on_meta, unfit_size
from distill.models.stored import Stored, stored
from distill.types import Architecture


def measure(
    architecture: Architecture,
    num_classes: int,
    in_channels: int = 3,
    image_size: int | Literal["auto"] = "auto",
    native_size: tuple[int, int] | None = None,
) -> NetworkCost:
    """Parameters, operations and activations of one sample at the size that a run would choose. Raises
    `UnknownName`, and `InvalidConfig` for options, sizes and channels that the network cannot have."""
    return measure_stored(architecture, num_classes, in_channels, image_size, native_size)[0]


def measure_stored(
    architecture: Architecture,
    num_classes: int,
    in_channels: int = 3,
    image_size: int | Literal["auto"] = "auto",
    native_size: tuple[int, int] | None = None,
) -> tuple[NetworkCost, Stored]:
    """As `measure`, with the bytes of the network's file."""
    how = preprocessing(architecture, image_size, native_size, in_channels)
    network = skeleton(architecture, num_classes, how.channels, how.size).to("meta").eval()
    counter = FlopCounterMode(display=False)
    with outputs(network) as found, counter:
        try:
            run_on_meta(network, how.channels, how.size)
        except FORWARD_ERRORS as error:
            raise unfit_size(architecture, how.size, error) from error
    parameters = sum(parameter.numel() for parameter in network.parameters())
    spent = NetworkCost(parameters, int(counter.get_total_flops()), 4 * sum(found), len(found))
    return spent, stored(network, num_classes)


@contextmanager
def outputs(network: nn.Module) -> Iterator[list[int]]:
    """Elements of every tensor that a leaf module gives, in order of the calls."""
    found: list[int] = []

    def note(module: nn.Module, given: Any, output: Any) -> None:
        found.extend(each.numel() for each in (output if isinstance(output, tuple) else [output]) if _counts(each))

    leaves = [module for module in network.modules() if not list(module.children())]
    handles = [module.register_forward_hook(note) for module in leaves]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _counts(value: Any) -> bool:
    return isinstance(value, Tensor)
