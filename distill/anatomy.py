"""What a network is made of: its generalised layers, parameters and operations, found without computing anything."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from distill.errors import RetortError
from distill.layers import discover
from distill.models.build import build, skeleton
from distill.models.cost import cost
from distill.models.preprocessing import preprocessing
from distill.types import Architecture, Layer

BATCH = 2  # so that a batch axis can be told from others
BUILT_PARAMETERS = 200_000_000  # networks that cannot run on the meta device are built up to this size


@dataclass(frozen=True, slots=True)
class Anatomy:
    """`image_size`: (height, width) of the input for which `flops` (see `Cost`), `bytes` and the shapes of `layers`
    hold; for networks that take any size, their usual one. `note` says why there are no layers, where there are none.
    `modules`: names of all modules, each of which may be named as a layer.
    """

    image_size: tuple[int, int]
    parameters: int
    flops: int | None
    bytes: int | None
    layers: tuple[Layer, ...]
    note: str = ""
    modules: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable."""
        layers = [asdict(layer) | {"shape": list(layer.shape)} for layer in self.layers]
        return asdict(self) | {
            "image_size": list(self.image_size), "layers": layers, "modules": list(self.modules)
        }  # fmt: skip


def anatomy(architecture: Architecture, num_classes: int, in_channels: int = 3) -> Anatomy:
    """Traced on the meta device: shapes without storage, so a network of billions of parameters takes no memory. Never
    fails for a network that `skeleton` can make: what cannot be found is None or empty, and `note` says why."""
    network = skeleton(architecture, num_classes, in_channels)
    modules = tuple(name for name, _ in network.named_modules(remove_duplicate=False) if name)
    return replace(_found(architecture, network, num_classes, in_channels), modules=modules)


def _found(architecture: Architecture, network: torch.nn.Module, num_classes: int, in_channels: int) -> Anatomy:
    size = preprocessing(architecture, channels=in_channels).size
    parameters = sum(parameter.numel() for parameter in network.parameters())
    try:
        return _examined(network.eval(), torch.empty(BATCH, in_channels, *size, device="meta"), parameters)
    except RetortError as error:
        return Anatomy(size, parameters, None, None, (), error.message)
    except Exception as error:  # a forward pass that reads values, which the meta device has not
        if parameters > BUILT_PARAMETERS:
            return Anatomy(size, parameters, None, None, (), f"Too large to be run for this ({type(error).__name__}).")
    try:
        built = build(architecture, num_classes, in_channels).eval()
        return _examined(built, torch.zeros(BATCH, in_channels, *size), parameters)
    except RetortError as error:
        return Anatomy(size, parameters, None, None, (), error.message)


def _examined(network: torch.nn.Module, example: torch.Tensor, parameters: int) -> Anatomy:
    spent = cost(network, example)
    found = tuple(discover(network, example))
    return Anatomy((example.shape[2], example.shape[3]), parameters, spent.flops, spent.bytes, found)
