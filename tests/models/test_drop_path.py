"""Stochastic depth: in training alone, of every library that has it, refused by name where there is none."""

from __future__ import annotations

import pytest
import torch

from distill.errors import InvalidConfig
from distill.layers.forward import forward
from distill.models import build
from distill.models.drop_path import built, rate_of
from distill.types import Architecture

HAVING = [
    Architecture(name="timm:test_vit"),
    Architecture(name="timm:test_convnext"),
    Architecture(name="torchvision:efficientnet_b0"),
    Architecture(name="retort:fpn", options={"backbone": "test_byobnet", "width": 8}),
    Architecture(
        name="transformers:segformer", options={"hidden_sizes": [8, 8, 8, 8], "num_attention_heads": [1, 1, 1, 1]}
    ),
]


def _built(architecture: Architecture, rate: float) -> torch.nn.Module:
    torch.manual_seed(0)
    return built(architecture, rate, lambda other: build(other, 3, 3, 160 if "vit" in other.name else 64))


@pytest.mark.parametrize("architecture", HAVING, ids=lambda given: given.name)
def test_samples_skip_branches_in_training_alone(architecture: Architecture) -> None:
    network, plain = _built(architecture, 0.5), _built(architecture, 0.0)
    assert rate_of(network) == pytest.approx(0.5, abs=0.12)
    assert not rate_of(plain)
    assert network.state_dict().keys() == plain.state_dict().keys()
    side = 160 if "vit" in architecture.name else 64
    x = torch.randn(4, 3, side, side)
    with torch.no_grad():
        if "vit" in architecture.name or "convnext" in architecture.name:  # no batch statistics: noise is depth alone
            assert not torch.equal(network.train()(x), network(x))
        network.load_state_dict(plain.state_dict())
        one, other = (forward(each.eval(), x) for each in (network, plain))
    torch.testing.assert_close(getattr(one, "logits", one), getattr(other, "logits", other))


@pytest.mark.parametrize("name", ["retort:resnet8", "timm:vgg11", "torchvision:resnet18"])
def test_what_has_none_is_refused_by_name(name: str) -> None:
    with pytest.raises(InvalidConfig) as error:
        _built(Architecture(name=name), 0.1)
    assert error.value.details == {"field": "drop_path", "architecture": name}
    assert rate_of(_built(Architecture(name=name), 0.0)) is None


def test_a_rate_that_is_given_twice_is_refused() -> None:
    with pytest.raises(InvalidConfig, match="both"):
        _built(Architecture(name="timm:test_vit", options={"drop_path_rate": 0.1}), 0.1)
