"""Layers, parameters and operations without computing anything: the same as of a network that is built and run."""

from __future__ import annotations

import pytest
import torch

from distill.anatomy import BATCH, anatomy
from distill.layers import discover
from distill.models import build, cost
from distill.types import Architecture


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("retort:resnet8", {"width": 8}),
        ("timm:vit_tiny_patch16_224", {"img_size": 32, "depth": 2}),
        ("torchvision:regnet_y_400mf", {}),
        ("torchvision:squeezenet1_1", {}),
    ],
)
def test_as_of_the_built_network(name: str, options: dict[str, int]) -> None:
    architecture = Architecture(name=name, options=options)
    found = anatomy(architecture, 7)
    network = build(architecture, 7).eval()
    example = torch.zeros(BATCH, 3, *found.image_size)
    spent = cost(network, example)
    assert (found.parameters, found.flops, found.bytes) == (spent.parameters, spent.flops, spent.bytes)
    assert found.layers == tuple(discover(network, example))
    assert found.note == ""


def test_an_image_size_of_the_options_and_other_channels() -> None:
    found = anatomy(Architecture(name="timm:vit_tiny_patch16_224", options={"img_size": 32, "depth": 1}), 5, 1)
    assert found.image_size == (32, 32)
    assert found.layers[0].shape == (5, 192)
    assert found.to_dict()["layers"][0]["shape"] == [5, 192]


def test_attention_is_counted_on_the_cpu_too() -> None:
    """ViT-Ti/16 at 32 pixels, one block: the patches' projection, the block's matrices, scores and sums of the 5
    tokens in 3 heads of 64, the classifier; a multiply-add is 2."""
    network = build(Architecture(name="timm:vit_tiny_patch16_224", options={"img_size": 32, "depth": 1}), 10).eval()
    tokens, width = 5, 192
    matrices = tokens * (3 * width + width + 8 * width) * width
    by_hand = 4 * 3 * 16 * 16 * width + matrices + 2 * tokens * tokens * width + width * 10
    assert cost(network, torch.zeros(1, 3, 32, 32)).flops == 2 * by_hand


def test_counting_leaves_the_network_alone() -> None:
    network = build(Architecture(name="timm:coat_tiny", options={"img_size": 32}), 4).train()  # shares modules
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    cost(network, torch.zeros(1, 3, 32, 32))
    assert network.training
    assert all(parameter.device.type == "cpu" for parameter in network.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    network(torch.zeros(2, 3, 32, 32))
