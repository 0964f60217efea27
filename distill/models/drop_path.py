"""Stochastic depth (Huang et al., arXiv 1603.09382) as a training setting: residual branches that a sample skips at
random, in train mode alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from distill.errors import InvalidConfig
from distill.models.names import resolve
from distill.types import Architecture

OPTION = "drop_path_rate"
OPTIONS = (OPTION, "stochastic_depth_prob")
"""What the libraries call it among an architecture's options."""
_RATES = {"DropPath": "drop_prob", "StochasticDepth": "p"}


def built(architecture: Architecture, rate: float, build: Callable[[Architecture], nn.Module]) -> nn.Module:
    """The network with a rate of `rate` at its deepest block, less at earlier ones by its library's rule (timm's
    `drop_path_rate`, where a network may reach the rate just above its last block). The tensors are those of
    `build(architecture)`. Raises `InvalidConfig` for an architecture that has no stochastic depth, and where its
    options give a rate too."""
    for option in OPTIONS:
        if option in architecture.options:
            raise InvalidConfig(
                f"The student's option {option} and drop_path both give a rate.", "Leave one of them out.",
                {"field": "drop_path", "option": option},
            )  # fmt: skip
    library = resolve(architecture.name).library
    told = rate > 0 and library != "torchvision"  # whose constructors do not agree on the argument, and build it anyway
    options = architecture.options | ({OPTION: rate} if told else {})
    with _refusing(architecture):
        network = build(architecture.model_copy(update={"options": options}))
    if not told:
        _scale(network, rate)
    if rate > 0 and not rate_of(network):
        raise _without(architecture)
    return network


def rate_of(network: nn.Module) -> float | None:
    """The highest rate in the network; None where it has no stochastic depth that is switched on."""
    return max((float(getattr(module, name)) for module, name in _places(network)), default=None)


def _places(network: nn.Module) -> Iterator[tuple[Any, str]]:
    """Modules that skip branches, with the name of their rate."""
    for module in network.modules():
        for kind, name in _RATES.items():
            if type(module).__name__.endswith(kind) and isinstance(getattr(module, name, None), float | int):
                yield module, name


def _scale(network: nn.Module, rate: float) -> None:
    """Bring the rates of a network that has some to a highest one of `rate`, in proportion."""
    highest = rate_of(network)
    for module, name in _places(network) if highest else ():
        setattr(module, name, float(getattr(module, name)) * rate / highest)  # type: ignore[operator]


@contextmanager
def _refusing(architecture: Architecture) -> Iterator[None]:
    try:
        yield
    except InvalidConfig as error:
        if error.details.get("option") != OPTION:
            raise
        raise _without(architecture) from error


def _without(architecture: Architecture) -> InvalidConfig:
    return InvalidConfig(
        f"{architecture.name} has no stochastic depth, so that drop_path cannot be set.", "Leave drop_path out.",
        {"field": "drop_path", "architecture": architecture.name},
    )  # fmt: skip
