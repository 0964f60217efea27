"""A student trained with int8's rounding: what is rounded, what the labels reach, and the file that comes of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from distill import exports, recipes
from distill.export import Graph
from distill.exporting.written import written
from distill.fake_quantised import FakeQuantised
from distill.layers import capture
from distill.not_exportable import NotExportable
from distill.recipe_parts.base import Setup
from distill.traced import Traced

SHAPE = (3, 8, 8)


class Block(nn.Module):
    """A residual block, after whose last convolution nothing is rectified."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv, self.norm, self.act = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU6()
        self.project = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = x + self.project(self.act(self.norm(self.conv(x))))
        return found


class Tiny(nn.Module):
    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.stem, self.first, self.second = nn.Conv2d(3, width, 3), Block(width), Block(width)
        self.head = nn.Linear(width, 4)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(self.second(self.first(self.stem(x).relu())).mean((2, 3)))
        return found


def images(count: int) -> Tensor:
    return torch.randn(count, *SHAPE, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def network() -> Tiny:
    torch.manual_seed(0)
    made = Tiny()
    for _ in range(3):
        made(images(32))  # batch statistics other than 0 and 1
    return made.eval()


@pytest.fixture(scope="module")
def rounded(network: Tiny) -> FakeQuantised:
    return FakeQuantised(network, images(2), ["first", "second"]).see([images(64)])


def test_it_answers_nearly_as_the_network_and_in_steps(network: Tiny, rounded: FakeQuantised) -> None:
    real = images(16)
    wanted, found = network(real), rounded(real)
    assert 0 < (found - wanted).abs().max() < 0.1 * wanted.abs().max()
    with capture(rounded, [rounded.called["second"]]) as features:
        rounded(real)
    (feature,) = features.values()
    assert len(torch.unique(feature)) <= 256


def test_the_layers_have_their_features(network: Tiny, rounded: FakeQuantised) -> None:
    with capture(network, ["first", "second"]) as plain:
        network(images(16))
    with capture(rounded, rounded.called.values()) as found:
        rounded(images(16))
    for name, called in rounded.called.items():
        far = (found[called] - plain[name]).abs().max()
        assert far < 0.1 * plain[name].abs().max()


def test_ranges_move_in_training_alone(rounded: FakeQuantised) -> None:
    before = {name: value.clone() for name, value in rounded.state_dict().items()}
    rounded.eval()(100 * images(8))
    after = rounded.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_weights_are_rounded_by_channel_symmetrically(network: Tiny, rounded: FakeQuantised) -> None:
    """Against a naive reference, of the layer that has no batch normalisation to be folded."""
    weight = network.head.weight.detach()
    scale = weight.abs().amax(1, keepdim=True) / 63.5
    wanted = scale * (weight / scale).round().clamp(-64, 63)
    seen: list[Tensor] = []
    for module in rounded.modules():
        module.register_forward_hook(lambda _, given, out: seen.append(out) if given[0].shape == weight.shape else None)
    rounded(images(2))
    assert any(torch.allclose(each, wanted, atol=1e-6) for each in seen if isinstance(each, Tensor))


@pytest.mark.parametrize("count", [1, 3, 16])
def test_its_int8_graph_answers_alike(count: int, rounded: FakeQuantised) -> None:
    converted = rounded.converted()
    wanted, found = rounded(images(count)), converted(images(count))
    assert (found - wanted).abs().max() < 0.05 * wanted.abs().max()


def setup(student: FakeQuantised) -> Setup:
    shapes = ((8, 6, 6),) * 2
    torch.manual_seed(2)
    names = tuple(student.called.values())
    return Setup(student, Tiny(), 4, names, ("first", "second"), shapes, shapes, images(2), images(2))


def test_no_label_reaches_the_backbone(network: Tiny) -> None:
    """The guarantee of `feature_only`, with rounding: by gradients of the labels' term alone, and of the features'."""
    student = FakeQuantised(network, images(2), ["first", "second"]).see([images(64)])
    recipe = recipes.get("feature_only")(setup(student)).train()
    labels = torch.tensor([0, 1, 2, 3])
    parts = recipe(images(4), labels, recipe.targets(images(4)))
    named = {name: each for name, each in student.named_parameters() if each.requires_grad}
    with capture(student, list(student.called.values()), detach_at=student.called["second"]) as features:
        logits = student(images(4))
    own = torch.autograd.grad(nn.functional.cross_entropy(logits, labels), [*named.values()], allow_unused=True)
    reached = {name.rsplit(".", 2)[-2] for name, found in zip(named, own, strict=True) if found is not None}
    assert reached == {"head"}
    whole = torch.autograd.grad(parts["loss"], [*named.values()], allow_unused=True)
    assert all(found is not None and found.abs().sum() > 0 for found in whole)
    taught = torch.autograd.grad(features[student.called["second"]].sum(), [*named.values()], allow_unused=True)
    assert not any(found is not None for name, found in zip(named, taught, strict=True) if "head" in name)


def test_a_network_that_answers_with_more_than_a_tensor_is_refused(network: Tiny) -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"out": self.network(x)}

    with pytest.raises(TypeError):
        FakeQuantised(Named(), images(2))


def samples(count: int) -> Iterator[Tensor]:
    return iter(torch.split(images(count), 16))


def test_its_file_has_the_operators_in_int8(rounded: FakeQuantised, tmp_path: Path) -> None:
    import onnxruntime

    graph = Graph(rounded.converted(), torch.zeros(2, *SHAPE), "image", "logits")
    exporter = exports.get("onnx-int8")(quantisation_aware=True)
    (path,), run = written(exporter, Traced(graph, samples, tmp_path), tmp_path / exporter.name("student"), "onnx-int8")
    assert path.name == "student.qat.int8.onnx"
    with torch.no_grad():
        assert (run(images(16)) - rounded(images(16))).abs().max() < 0.1 * rounded(images(16)).abs().max()
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = str(tmp_path / "optimised.onnx"), 3
    onnxruntime.InferenceSession(str(path), options)
    kinds = operators(tmp_path / "optimised.onnx")
    assert {"QLinearConv", "QLinearAdd"} <= kinds
    assert not {"Conv", "Relu", "Clip", "Add"} & kinds


@pytest.mark.parametrize("aware", [False, True])
def test_fast_kernels_answer_as_slow_ones(
    aware: bool, network: Tiny, rounded: FakeQuantised, tmp_path: Path
) -> None:  # fmt: skip
    """Without VNNI onnxruntime's sums of two products of 8 bits are cut off at 16 bits."""
    import onnxruntime

    module = rounded.converted() if aware else network
    exporter = exports.get("onnx-int8")(quantisation_aware=aware)
    graph = Graph(module.requires_grad_(requires_grad=False), torch.zeros(2, *SHAPE), "image", "logits")
    (path,) = exporter.write(Traced(graph, samples, tmp_path), tmp_path / "student.int8.onnx")
    levels = onnxruntime.GraphOptimizationLevel
    slow, fast = (answers(path, level) for level in (levels.ORT_DISABLE_ALL, levels.ORT_ENABLE_ALL))
    assert (fast - slow).abs().max() < 0.02 * slow.abs().max()


def answers(path: Path, level: Any) -> Tensor:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level, options.log_severity_level = level, 3
    session = onnxruntime.InferenceSession(str(path), options)
    return torch.from_numpy(session.run(None, {"image": images(16).numpy()})[0])


def operators(path: Path) -> set[str]:
    import onnx

    return {node.op_type for node in onnx.load(path).graph.node}


def test_an_operator_that_no_graph_holds_is_named(tmp_path: Path) -> None:
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    from distill.exporting.written import refusing

    with pytest.raises(NotExportable), refusing("onnx-int8"):
        FakeQuantised(Odd(), images(2))
