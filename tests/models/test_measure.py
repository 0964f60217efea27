"""Counting on the meta device gives what a real forward pass gives."""

from __future__ import annotations

import pytest
import torch

from distill.errors import InvalidConfig, UnknownName
from distill.models import build, cost
from distill.models.measure import measure
from distill.types import Architecture

NAMES = ["retort:resnet8", "timm:resnet18", "timm:vit_tiny_patch16_224", "torchvision:regnet_y_400mf"]


@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_operations_are_those_of_the_network_itself(name: str) -> None:
    architecture = Architecture(name=name)
    side = 32 if name.startswith("retort") else 224
    found = measure(architecture, 7, 3, native_size=(32, 32))
    real = cost(build(architecture, 7, 3), torch.zeros(1, 3, side, side))
    assert (found.parameters, found.flops) == (real.parameters, real.flops)


def test_activations_are_the_outputs_of_leaf_modules() -> None:
    """Against a forward pass that keeps them."""
    network = build(Architecture(name="retort:resnet8"), 3, 1, (16, 16)).eval()
    kept: list[int] = []
    for module in network.modules():
        if not list(module.children()):
            module.register_forward_hook(lambda _module, _given, output: kept.append(output.nbytes))
    with torch.no_grad():
        network(torch.zeros(1, 1, 16, 16))
    found = measure(Architecture(name="retort:resnet8"), 3, 1, native_size=(16, 16))
    assert (found.activation_bytes, found.modules) == (sum(kept), len(kept))


def test_larger_images_cost_more_and_what_cannot_be_built_is_the_users_fault() -> None:
    small, large = (measure(Architecture(name="retort:resnet8"), 10, 3, image_size=side) for side in (32, 64))
    assert small.parameters == large.parameters
    assert 3.5 < large.flops / small.flops < 4.5
    for wrong in ({"width": "x"}, {"none": 1}):
        with pytest.raises(InvalidConfig):
            measure(Architecture(name="retort:resnet8", options=wrong), 10, 3)
    with pytest.raises(UnknownName):
        measure(Architecture(name="retort:none"), 10, 3)
