"""Stepping stones (docs/methods.md, section 5) and the tails they run on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import distill.models  # noqa: F401  (torchvision loads only after its shim)
from distill import recipes
from distill.errors import InvalidConfig
from distill.layers import capture
from distill.recipe_parts.tail import Tail
from tests.recipes.nets import CLASSES, STAGES, TinyCNN, TinyViT, images, labels, pair, step


def _build(equal: bool = False, **parameters: Any) -> Any:
    teacher = TinyCNN(8) if equal else TinyCNN(12, seed=1)
    return recipes.get("blockwise_logit")(pair(TinyCNN(8), teacher), **parameters)


def _stones(recipe: Any) -> list[Tensor]:
    features, _ = recipe._student_pass(images())
    stones: list[Tensor] = recipe.stone_logits(features)
    return stones


@pytest.mark.parametrize("net", [TinyCNN, TinyViT])
def test_student_equal_to_teacher_and_identity_connectors_leave_nothing_to_distil(net: Any) -> None:
    recipe = recipes.get("blockwise_logit")(pair(net(8), net(8)))
    recipe.student.eval()
    recipe.connectors = nn.ModuleList(nn.Identity() for _ in STAGES)
    for stone in _stones(recipe):
        torch.testing.assert_close(stone, recipe.teacher(images()))
    parts = step(recipe)
    assert parts["logit"].item() == pytest.approx(0, abs=1e-5)
    assert parts["ensemble"].item() == pytest.approx(0, abs=1e-5)


def test_equals_the_formula_written_out() -> None:
    recipe = _build(label_weight=0.5, teacher_weight=0.7, ensemble_weight=0.3, stone_weight=0.9, temperature=3.0).eval()
    a, b, g, T = 0.5, 0.7, 0.3, 3.0
    parts, stones = step(recipe), _stones(recipe)
    student, teacher = recipe.student(images()), recipe.teacher(images())
    ensemble = sum(s.detach() for s in stones) / 3

    def d(y: Tensor, target: Tensor) -> Tensor:
        return T**2 * F.kl_div((y / T).log_softmax(1), (target / T).softmax(1), reduction="batchmean")

    w = [0.9 / 4, 0.9 / 2, 0.9]
    pairs = list(zip(w, stones, strict=True))
    loss = a * (F.cross_entropy(student, labels()) + sum(v * F.cross_entropy(y, labels()) for v, y in pairs))
    loss = loss + b * (d(student, teacher) + sum(v * d(y, teacher) for v, y in pairs))
    loss = loss + g * (d(student, ensemble) + sum(d(y, ensemble) for y in stones))
    torch.testing.assert_close(parts["loss"], loss)


def test_the_ensemble_and_the_teacher_are_constants() -> None:
    """d(Y^S, Y_ens) must not pull the stones: with only the student's ensemble term left, connectors stay put."""
    recipe = _build(label_weight=0.0, teacher_weight=0.0)
    features, logits = recipe._student_pass(images())
    ensemble = torch.stack([s.detach() for s in recipe.stone_logits(features)]).mean(0)
    recipe._divergence(logits, ensemble).backward()
    assert all(p.grad is None for p in recipe.connectors.parameters())


@pytest.mark.parametrize("net", [TinyCNN, TinyViT])
def test_a_stone_reaches_its_own_blocks_and_connector_and_nothing_else(net: Any) -> None:
    recipe = recipes.get("blockwise_logit")(pair(net(8), net(12, seed=1)))
    for i in range(3):
        recipe.zero_grad(set_to_none=True)
        F.cross_entropy(_stones(recipe)[i], labels()).backward()
        reached = {name for name, p in recipe.named_parameters() if p.grad is not None}
        before = [f"student.{STAGES[j]}." for j in range(i + 1)] + ["student.patches", "student.class_token"]
        expected = {n for n, _ in recipe.named_parameters() if n.startswith((*before, f"connectors.{i}."))}
        assert reached == expected
        assert all(p.grad is None for p in recipe.teacher.parameters())


def test_without_stones_and_ensemble_it_is_plain_logit_distillation() -> None:
    recipe = _build(stone_weight=0.0, ensemble_weight=0.0)
    plain = recipes.get("logit")(pair(recipe.student, recipe.teacher))
    a, b = step(recipe.eval())["loss"], step(plain.eval())["loss"]
    torch.testing.assert_close(a, b)
    parameters = list(recipe.student.parameters())
    for x, y in zip(torch.autograd.grad(a, parameters), torch.autograd.grad(b, parameters), strict=True):
        torch.testing.assert_close(x, y)


def test_only_the_last_stones_are_kept_with_their_own_weights() -> None:
    recipe = _build(stones=2)
    assert len(recipe.connectors) == len(_stones(recipe)) == 2
    assert recipe.stone_weights == [0.5, 1.0]
    assert _build(stones=9).stone_weights == [0.25, 0.5, 1.0]


def test_a_missing_example_is_an_error() -> None:
    with pytest.raises(InvalidConfig, match="traces the teacher"):
        recipes.get("blockwise_logit")(replace(pair(TinyCNN(8), TinyCNN(8)), teacher_example=None))


# Tails


class Reuse(nn.Module):
    """One activation called after each of three layers: `act`, `act#2`, `act#3`."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(3))
        self.act, self.head = nn.ReLU(), nn.Linear(6, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = self.act(layer(x))
        y: Tensor = self.head(x)
        return y


def _frozen(network: nn.Module) -> nn.Module:
    return network.eval().requires_grad_(False)


@pytest.mark.parametrize("layer", ["act", "act#2", "act#3", "layers.1", "layers.2:input", "head:input"])
def test_a_tail_goes_on_from_the_named_call(layer: str) -> None:
    network, x = _frozen(Reuse()), torch.randn(4, 6)
    with capture(network, [layer]) as features:
        expected = network(x)
    tail = Tail(network, layer, torch.randn(2, 6))
    torch.testing.assert_close(tail(features[layer]), expected)
    torch.testing.assert_close(tail(features[layer]), expected)  # and again


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "shufflenet_v2_x0_5", "mobilenet_v3_small"])
def test_tails_of_torchvision_networks(name: str) -> None:
    import torchvision

    from distill.layers import discover

    torch.manual_seed(0)
    options = {"init_weights": False} if name == "googlenet" else {}
    network = _frozen(torchvision.models.get_model(name, weights=None, num_classes=CLASSES, **options))
    x = images(3, 64)
    layers = discover(network, x[:2])
    for layer in (layers[0], layers[len(layers) // 2], layers[-1]):
        with torch.no_grad(), capture(network, [layer.name]) as features:
            expected = network(x)
        torch.testing.assert_close(Tail(network, layer.name, images(2, 64))(features[layer.name]), expected)


def test_a_tail_computes_nothing_before_its_layer() -> None:
    network = _frozen(TinyCNN(8))
    tail = Tail(network, STAGES[1], images(2))
    ran = []
    for path, module in tail._shadow.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(lambda *_, path=path: ran.append(path))
    tail(torch.randn(5, 16, 4, 4))
    assert ran == ["stages.2.0", "head"]


def test_gradient_flows_through_a_frozen_tail_to_the_feature() -> None:
    network = _frozen(TinyCNN(8))
    feature = torch.randn(5, 16, 4, 4, requires_grad=True)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    Tail(network, STAGES[1], images(2))(feature).sum().backward()
    assert feature.grad is not None
    assert feature.grad.any()
    other = feature.detach().clone().requires_grad_()
    [expected] = torch.autograd.grad(network.head(network.stages[2](other).mean((2, 3))).sum(), other)
    torch.testing.assert_close(feature.grad, expected)
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())
    assert all("forward" not in m.__dict__ for m in network.modules())


def test_a_tail_follows_its_network_to_another_type_and_shares_its_weights() -> None:
    network = _frozen(TinyCNN(8))
    tail = Tail(network, STAGES[1], images(2))
    network.double()
    feature = torch.randn(5, 16, 4, 4, dtype=torch.float64)
    torch.testing.assert_close(tail(feature), network.head(network.stages[2](feature).mean((2, 3))))
    assert {id(p) for p in tail._shadow.parameters()} == {id(p) for p in network.parameters()}


class Bypass(TinyCNN):
    def forward(self, x: Tensor) -> Tensor:
        middle = self.stages[1](self.stages[0](x))
        y: Tensor = self.head(self.stages[2](middle).mean((2, 3)) + middle.mean((2, 3)).repeat(1, 2))
        return y


def test_a_layer_that_is_passed_by_is_refused() -> None:
    with pytest.raises(InvalidConfig, match="depend on more than this layer") as error:
        Tail(_frozen(Bypass(8)), STAGES[2], images(2))
    assert "dense block" in error.value.remedy
    with pytest.raises(InvalidConfig, match="did not run"):
        Tail(_frozen(Reuse()), "act#7", torch.randn(2, 6))
