"""Discovery's rules on tiny networks: plain, residual, shared, in-place, odd outputs, and what cannot be discovered."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from distill.errors import LayersNotFound
from distill.layers import capture, discover, run_until


class Residual(nn.Module):
    def __init__(self, width: int = 8, skip: bool = True) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        self.act, self.skip = nn.ReLU(inplace=True), skip

    def forward(self, x):
        out = self.b(self.act(self.a(x)))
        return self.act(out + x if self.skip else out)


def convolution(inputs=3, width=8):
    return nn.Sequential(nn.Conv2d(inputs, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True))


def head(width=8):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 5))


def found(model, example=None):
    layers = discover(model, torch.randn(2, 3, 8, 8) if example is None else example)
    return [(layer.name, layer.kind) for layer in layers]


def test_residual_network():
    model = nn.Sequential(convolution(), Residual(), Residual(), head())
    assert found(model) == [("0", "stem"), ("1", "block"), ("2", "block"), ("3.1", "pooled")]


def test_a_block_without_a_shortcut_is_a_block_of_its_class():
    model = nn.Sequential(convolution(), Residual(skip=False), Residual(), head())
    assert [kind for _, kind in found(model)] == ["stem", "block", "block", "pooled"]


def test_plain_network_has_its_activations_and_the_flattened_feature():
    model = nn.Sequential(convolution(), convolution(8), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 16))
    model.extend([nn.ReLU(), nn.Linear(16, 5)])
    kinds = [("0", "activation"), ("1", "activation"), ("3", "flatten"), ("5", "activation")]
    assert found(model) == kinds


def test_functional_activations_are_found_by_the_module_that_ends_in_them():
    class Unit(nn.Module):
        def __init__(self, inputs):
            super().__init__()
            self.conv = nn.Conv2d(inputs, 8, 3, padding=1)

        def forward(self, x):
            return torch.relu_(self.conv(x))

    assert found(nn.Sequential(Unit(3), Unit(8), head())) == [
        ("0", "activation"),
        ("1", "activation"),
        ("2.1", "flatten"),
    ]


def test_gates_are_no_layers():
    class Gate(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.sigmoid = nn.Conv2d(8, 8, 1), nn.Sigmoid()

        def forward(self, x):
            return x * self.sigmoid(self.fc(x.mean((2, 3), keepdim=True)))

    model = nn.Sequential(convolution(), Gate(), convolution(8), head())
    assert [name for name, _ in found(model)] == ["0", "2", "3.1"]


def test_sigmoids_of_a_classical_network_are_layers():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Tanh(), nn.Flatten(), nn.Linear(288, 9), nn.Sigmoid(), nn.Linear(9, 5))
    assert [name for name, _ in found(model)] == ["1", "2", "4"]


def test_a_custom_swish_is_an_activation():
    class Swish(nn.Module):
        def forward(self, x):
            return x * torch.sigmoid(x)

    model = nn.Sequential(nn.Conv2d(3, 8, 3), Swish(), nn.Conv2d(8, 8, 3), Swish(), head())
    assert [name for name, _ in found(model)] == ["1", "3", "4.1"]


def test_a_module_called_twice_is_two_layers():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.block, self.head = convolution(), Residual(), head()

        def forward(self, x):
            return self.head(self.block(self.block(self.stem(x))))

    model = Twice().eval()
    assert found(model) == [("stem", "stem"), ("block", "block"), ("block#2", "block"), ("head.1", "pooled")]
    x = torch.randn(4, 3, 8, 8)
    features = run_until(model, ["block", "block#2"], x)
    first = model.block(model.stem(x))
    torch.testing.assert_close(features["block"], first)
    torch.testing.assert_close(features["block#2"], model.block(first))


def test_dict_and_tuple_outputs():
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.block = Residual()

        def forward(self, x):
            x = x[0] if isinstance(x, tuple) else x["map"]
            return (self.block(x), "weights", x.shape)

    class Stem(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3, padding=1)

        def forward(self, x):
            return {"size": torch.tensor(3), "map": self.conv(x).relu()}

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.blocks, self.head = Stem(), nn.Sequential(Pair(), Pair()), head()

        def forward(self, images):
            return {"logits": self.head(self.blocks(self.stem(images))[0])}

    model = Net().eval()
    example = {"images": torch.randn(2, 3, 8, 8)}
    assert found(model, example) == [
        ("stem", "stem"),
        ("blocks.0", "block"),
        ("blocks.1", "block"),
        ("head.1", "pooled"),
    ]
    assert run_until(model, ["blocks.0"], example)["blocks.0"].shape == (2, 8, 8, 8)


def test_position_embeddings_are_no_joins():
    class Embedded(nn.Module):
        def __init__(self):
            super().__init__()
            self.proj, self.position = nn.Linear(6, 8), nn.Parameter(torch.zeros(1, 5, 8))

        def forward(self, x):
            return self.proj(x) + self.position

    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            self.mlp = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))

        def forward(self, x):
            x = x + self.attention(x, x, x)[0]
            return x + self.mlp(x)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.layers, self.fc = Embedded(), nn.ModuleList([Encoder(), Encoder()]), nn.Linear(8, 3)

        def forward(self, x):
            x = self.embed(x)
            for layer in self.layers:
                x = layer(x)
            return self.fc(x.mean(1))

    kinds = [("embed", "stem"), ("layers.0", "block"), ("layers.1", "block")]
    assert found(Net(), torch.randn(1, 5, 6)) == kinds
    assert found(Net(), torch.randn(3, 5, 6)) == kinds


def test_joins_one_level_down_make_the_repeated_element_the_block():
    class Output(nn.Module):
        def __init__(self):
            super().__init__()
            self.dense = nn.Linear(8, 8)

        def forward(self, x):
            return self.dense(x) + x

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention, self.output = Output(), Output()

        def forward(self, x):
            return self.output(self.attention(x))

    model = nn.Sequential(nn.Linear(6, 8), Layer(), Layer(), nn.Linear(8, 3))
    assert found(model, torch.randn(2, 6)) == [("0", "stem"), ("1", "block"), ("2", "block")]


def test_two_summed_classifiers_are_logits_and_no_block():
    class Heads(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(8, 5), nn.Linear(8, 5)

        def forward(self, x):
            return (self.a(x) + self.b(x)) / 2

    pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert [name for name, _ in found(nn.Sequential(convolution(), Residual(), pool, Heads()))] == ["0", "1", "2"]


def test_dropout_and_modes_are_left_alone():
    model = nn.Sequential(convolution(), Residual(), nn.Dropout(0.9), head()).train()
    model[0][1].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    example = torch.randn(2, 3, 8, 8)
    state = torch.get_rng_state()
    discover(model, example)
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in model.modules()].count(False) == 1
    assert not model[0][1].training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_layers_can_be_named_by_hand_and_come_in_execution_order():
    model = nn.Sequential(convolution(), Residual(), Residual(), head())
    layers = discover(model, torch.randn(2, 3, 8, 8), names=["2", "0.1", "3.2:input"])
    assert [(layer.name, layer.index, layer.kind) for layer in layers] == [
        ("0.1", 0, "named"),
        ("2", 1, "named"),
        ("3.2:input", 2, "named"),
    ]
    assert layers[1].relative_depth == pytest.approx(2 / 3)
    assert layers[2].shape == (8,)


def test_what_cannot_be_discovered_says_to_name_modules():
    with pytest.raises(LayersNotFound) as caught:
        discover(nn.Sequential(nn.Flatten(), nn.Linear(12, 3)), torch.randn(2, 3, 2, 2))
    assert "Name the layers" in caught.value.remedy


@pytest.mark.parametrize("name", ["9", "1.conv", "1#x", "1#5", "3.0:inputs"])
def test_unknown_names_are_errors_with_a_remedy(name):
    model = nn.Sequential(convolution(), Residual(), head())
    with pytest.raises(LayersNotFound) as caught:
        discover(model, torch.randn(2, 3, 8, 8), names=[name])
    assert caught.value.remedy


def test_a_model_that_fails_leaves_no_hooks():
    model = nn.Sequential(convolution(), Residual(), head())
    with pytest.raises(RuntimeError):
        discover(model, torch.randn(2, 4, 8, 8))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    with pytest.raises(RuntimeError), capture(model, ["1"]):
        model(torch.randn(2, 4, 8, 8))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
