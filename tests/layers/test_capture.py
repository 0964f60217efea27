"""Capture: real outputs with graphs, early stop, detaching, in-place modules, autocast and layouts."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from distill.errors import LayersNotFound
from distill.layers import capture, run_until

LOG: list[str] = []


class Note(nn.Module):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, x):
        LOG.append(self.name)
        return x


def make(inplace=True):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=inplace),
        nn.Conv2d(4, 4, 3),
        nn.ReLU(inplace=inplace),
        Note("late"),
        nn.Flatten(),
        nn.Linear(64, 5),
    )


@pytest.fixture
def images():
    return torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_features_carry_their_graph(images):
    model = make()
    with capture(model, ["2", "4"]) as features:
        model(images)
    (gradient,) = torch.autograd.grad(features["4"].sum(), model[0].weight)
    assert gradient.abs().sum() > 0
    assert features["2"].shape == (6, 4, 6, 6)


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("inference", [False, True])
def test_the_value_is_the_real_output_where_a_later_module_overwrites_it(images, mode, inference):
    model, plain = getattr(make(), mode)(), getattr(make(inplace=False), mode)()
    held = capture(model, ["0", "1", "3"])
    for _ in range(3):  # the first pass learns, later ones copy only what is overwritten
        with torch.inference_mode(inference), held as features:
            model(images)
        with torch.no_grad():
            conv = plain[0](images)
            norm = plain[1](conv)
            torch.testing.assert_close(features["0"].detach(), conv)
            torch.testing.assert_close(features["1"].detach(), norm)
            torch.testing.assert_close(features["3"].detach(), plain[3](norm.relu()))
        if mode == "train":
            model.load_state_dict(make().state_dict())
            plain.load_state_dict(model.state_dict())


def test_only_overwritten_features_are_copied_after_the_first_pass(images):
    model = make()
    held = capture(model, ["1", "2"])
    for _ in range(2):
        with held as features:
            model(images)
    names = {name: type(feature.grad_fn).__name__ for name, feature in features.items()}
    assert names == {"1": "CloneBackward0", "2": "ViewBackward0"}


def test_stop_ends_the_pass_after_the_deepest_layer(images):
    model, reached = make(), []
    LOG.clear()
    with capture(model, ["4", "2"], stop=True) as features:
        model(images)
        reached.append("after the model")
    assert set(features) == {"2", "4"}
    assert LOG == []
    assert reached == []
    torch.testing.assert_close(run_until(model.eval(), ["2"], images)["2"], model[:3](images))


def test_run_until_names_a_layer_that_did_not_run(images):
    with pytest.raises(LayersNotFound, match="2#2"):
        run_until(make(), ["2#2"], images)


def test_detach_at_cuts_the_model_and_not_the_feature(images):
    model = make()
    with capture(model, ["2", "4"], detach_at="4") as features:
        logits = model(images)
    logits.sum().backward(retain_graph=True)
    assert model[0].weight.grad is None
    assert model[3].weight.grad is None
    assert model[7].weight.grad is not None
    features["4"].sum().backward()
    assert model[0].weight.grad is not None
    assert model[3].weight.grad is not None


def test_detach_at_a_layers_input_that_is_not_captured(images):
    model = make()
    with capture(model, ["2"], detach_at="7:input") as features:
        model(images).sum().backward()
    assert set(features) == {"2"}
    assert model[3].weight.grad is None
    assert model[7].weight.grad is not None


def test_inputs_of_modules_can_be_captured(images):
    model = make().eval()
    features = run_until(model, ["7:input"], images)
    torch.testing.assert_close(features["7:input"], model[:7](images))


def test_a_sink_gets_every_feature_and_nothing_is_kept(images):
    model, got = make(), []
    with capture(model, ["4", "2"], sink=lambda name, feature: got.append((name, feature.shape))) as features:
        model(images)
    assert [name for name, _ in got] == ["2", "4"]
    assert not features


def test_features_are_those_of_the_last_pass_and_can_be_read_after_the_block(images):
    model = make().eval()
    with capture(model, ["2"]) as features:
        model(images)
        model(images[:2])
    assert features["2"].shape[0] == 2
    with pytest.raises(LayersNotFound, match="'3'"):
        features["3"]


def test_hooks_are_gone_after_every_way_out(images):
    model = make()
    with capture(model, ["2"], stop=True):
        model(images)
    with pytest.raises(ZeroDivisionError), capture(model, ["2"]):
        raise ZeroDivisionError
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_nested_captures_stop_the_right_one(images):
    model = make().eval()
    with capture(model, ["4"]) as outer:
        inner = run_until(model, ["2"], images)
        model(images)
    assert set(inner) == {"2"}
    assert set(outer) == {"4"}


def test_autocast_and_channels_last(images):
    model = make().eval().to(memory_format=torch.channels_last)
    images = images.to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        feature = run_until(model, ["3"], images)["3"]
    assert feature.dtype == torch.bfloat16
    assert feature.is_contiguous(memory_format=torch.channels_last)


def test_a_named_layer_that_the_model_lacks():
    with pytest.raises(LayersNotFound) as caught:
        capture(make(), ["22"])
    assert "2" in caught.value.details["close"]


def test_a_capture_is_not_entered_twice(images):
    held = capture(make(), ["2"])
    with held, pytest.raises(RuntimeError, match="already open"):
        held.__enter__()
