"""Baselines of docs/methods.md, section 3 against their formulas written out, and where their gradients go."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill import losses, recipes
from distill.layers import capture
from tests.recipes.nets import CLASSES, STAGES, TinyCNN, TinyViT, images, labels, pair, step


def _build(name: str, equal: bool = False, **parameters: Any) -> Any:
    teacher = TinyCNN(8) if equal else TinyCNN(12, seed=1)
    return recipes.get(name)(pair(TinyCNN(8), teacher), **parameters)


def _features(network: nn.Module) -> list[Tensor]:
    with capture(network, STAGES) as features:
        network(images())
    return [features[name] for name in STAGES]


def test_logit_is_ce_plus_sixteen_times_the_softened_kl() -> None:
    recipe = _build("logit")
    parts, s, t = step(recipe), recipe.student(images()), recipe.teacher(images())
    kl = F.kl_div((s / 4).log_softmax(1), (t / 4).softmax(1), reduction="batchmean")
    torch.testing.assert_close(parts["loss"], F.cross_entropy(s, labels()) + 16 * kl)
    recipe = _build("logit", temperature=2.0, logit_weight=0.5, cross_entropy_weight=0.0)
    kl = F.kl_div((s / 2).log_softmax(1), (t / 2).softmax(1), reduction="batchmean")
    torch.testing.assert_close(step(recipe)["loss"], 2 * kl)


def test_logit_standardized_ignores_the_teachers_logit_scale_and_shift() -> None:
    recipe = _build("logit_standardized")
    targets = recipe.targets(images())
    a = recipe(images(), labels(), targets)["logit"]
    b = recipe(images(), labels(), {"logits": 7 * targets["logits"] + 3})["logit"]
    torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)
    s, t = recipe.student(images()), targets["logits"]
    z = [(x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True, correction=0) for x in (s, t)]
    expected = 4 * F.kl_div((z[0] / 2).log_softmax(1), (z[1] / 2).softmax(1), reduction="batchmean")
    torch.testing.assert_close(a, expected.detach(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["logit", "logit_standardized"])
def test_student_equal_to_teacher_leaves_no_logit_term(name: str) -> None:
    recipe = _build(name, equal=True)
    recipe.student.eval()
    assert step(recipe)["logit"] == 0


def test_feature_logit_is_the_sum_of_its_terms_and_detaches_nothing() -> None:
    recipe = _build("feature_logit", feature_weight=0.5, cross_entropy_weight=2.0, logit_weight=0.25)
    parts = step(recipe)
    total = 0.5 * parts["feature"] + 2.0 * parts["cross_entropy"] + 0.25 * parts["logit"]
    torch.testing.assert_close(parts["loss"].detach(), total)
    s, t = recipe.student(images()), recipe.teacher(images())
    kl = F.kl_div((s / 4).log_softmax(1), (t / 4).softmax(1), reduction="batchmean")
    torch.testing.assert_close(parts["logit"], 16 * kl.detach())
    only_labels = _build("feature_logit", feature_weight=0.0, kl=False)
    step(only_labels)["loss"].backward()
    assert all(p.grad is not None and p.grad.any() for n, p in only_labels.student.named_parameters() if "weight" in n)


def test_feature_logit_without_kl_needs_no_logits_of_the_teacher() -> None:
    recipe = _build("feature_logit", kl=False)
    assert "logits" not in recipe.targets(images())
    assert "logit" not in step(recipe)
    assert "logits" in _build("feature_logit").targets(images())


def test_similarity_preserving_is_the_mean_over_the_whole_matrix() -> None:
    recipe = _build("similarity_preserving", similarity_weight=10.0)
    parts = step(recipe)
    gaps = []
    for s, t in zip(_features(recipe.student), _features(recipe.teacher), strict=True):
        G = []
        for f in (s.flatten(1), t.flatten(1)):
            gram = torch.stack([torch.stack([a @ b for b in f]) for a in f])
            G.append(gram / gram.norm(dim=1, keepdim=True))
        gaps.append(((G[0] - G[1]) ** 2).sum() / 36)
    expected = sum(gaps) / 3
    torch.testing.assert_close(parts["similarity"], expected.detach())
    torch.testing.assert_close(parts["loss"].detach(), (parts["cross_entropy"] + 10 * expected).detach())
    equal = _build("similarity_preserving", equal=True)
    equal.student.eval()
    assert step(equal)["similarity"] == 0


def _embedded(mlp: nn.Module, feature: Tensor, width: int = 128) -> Tensor:
    """The published query or key from the weights: W2 relu(W1 x + b1) + b2, divided by its norm; W1 (2 width, c)."""
    w1, b1, w2, b2 = mlp.state_dict().values()
    assert (w1.shape[0], w2.shape) == (2 * width, (width, 2 * width))
    x = torch.relu(feature.mean((2, 3)) @ w1.T + b1) @ w2.T + b2
    return x / x.square().sum(1, keepdim=True).sqrt()


def _projected(projector: nn.Module, x: Tensor, widths: list[int], last: bool = False, relu: bool = True) -> Tensor:
    """The published projector in eval mode from the weights: convolutions 1x1, 3x3, 1x1 of these widths without bias,
    BN and ReLU after the first two, and with `last` after the third."""
    weights = projector.state_dict()
    kernels = [value for value in weights.values() if value.ndim == 4]
    convolutions = [module for module in projector.modules() if isinstance(module, nn.Conv2d)]
    assert all(module.bias is None for module in convolutions)
    assert [tuple(k.shape[2:]) for k in kernels] == [(1, 1), (3, 3), (1, 1)]
    assert [k.shape[0] for k in kernels] == widths
    norms = [module for module in projector.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == (3 if last else 2)
    for i, kernel in enumerate(kernels):
        x = F.conv2d(x, kernel, padding=kernel.shape[-1] // 2)
        if i < 2 or last:
            n = norms[i]
            scale = n.weight / (n.running_var + n.eps).sqrt()
            x = (x - n.running_mean[:, None, None]) * scale[:, None, None] + n.bias[:, None, None]
            x = x.clamp(min=0) if i < 2 or relu else x
    return x


def test_semckd_is_the_attended_sum_written_out() -> None:
    recipe = _build("semckd", feature_weight=3.0, logit_weight=0.0).eval()
    assert "logits" not in recipe.targets(images())
    parts = step(recipe)
    students, teachers = _features(recipe.student), _features(recipe.teacher)
    keys = [_embedded(k, f) for k, f in zip(recipe.keys, teachers, strict=True)]
    expected = torch.zeros(())
    for i in range(6):
        for s, f in enumerate(students):
            query = _embedded(recipe.queries[s], f)[i]
            weights = torch.stack([query @ k[i] for k in keys]).softmax(0)
            for t, g in enumerate(teachers):
                side = min(f.shape[-1], g.shape[-1])
                own, target = F.adaptive_avg_pool2d(f, side), F.adaptive_avg_pool2d(g, side)
                projected = _projected(recipe.projectors[s][t], own, [2 * g.shape[1]] * 2 + [g.shape[1]])
                expected = expected + weights[t] * (projected - target)[i].square().mean() / 18
    torch.testing.assert_close(parts["feature"], expected.detach(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(parts["loss"].detach(), parts["cross_entropy"] + 3 * parts["feature"])


def test_semckd_with_a_batch_loss_attends_to_one_value_a_pair() -> None:
    recipe = _build("semckd", feature_loss="cka", grid=1).eval()
    assert not list(recipe.projectors.parameters())
    parts = step(recipe)
    students, teachers = _features(recipe.student), _features(recipe.teacher)
    attention = recipe.attention(students, teachers).mean(0)
    cka = losses.get("cka")()
    values = [[cka(s.mean((2, 3)), t.mean((2, 3))) for t in teachers] for s in students]
    expected = sum(attention[i, j] * values[i][j] for i in range(3) for j in range(3)) / 3
    torch.testing.assert_close(parts["feature"], expected.detach())


def test_simkd_may_compare_geometry_behind_its_projector() -> None:
    recipe = _build("simkd", feature_loss="procrustes", grid=1).eval()
    projected = recipe.projector(_features(recipe.student)[-1])
    expected = losses.get("procrustes")()(projected.mean((2, 3)), _features(recipe.teacher)[-1].mean((2, 3)))
    torch.testing.assert_close(step(recipe)["feature"], expected.detach())


@pytest.mark.parametrize("teacher", [TinyCNN, TinyViT])
@pytest.mark.parametrize("student", [TinyCNN, TinyViT])
def test_semckd_attention_is_a_distribution_over_teacher_layers(student: Any, teacher: Any) -> None:
    recipe = recipes.get("semckd")(pair(student(8), teacher(12, seed=1)))
    targets = recipe.targets(images())
    students = _features(recipe.student)
    attention = recipe.attention(students, [targets[f"feature_{i}"] for i in range(3)])
    assert attention.shape == (6, 3, 3)
    torch.testing.assert_close(attention.sum(2), torch.ones(6, 3))
    step(recipe)["loss"].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in recipe.parameters())


def test_semckd_keeps_teacher_maps_only_as_large_as_some_student_needs() -> None:
    setup = pair(TinyCNN(8), TinyCNN(12, seed=1), STAGES[1:], STAGES[:2])
    targets = recipes.get("semckd")(setup).targets(images())
    assert targets["feature_0"].shape == (6, 12, 4, 4)  # the teacher's own map is 8 x 8


def test_simkd_uses_the_deepest_pair_alone() -> None:
    recipe = _build("simkd", feature_weight=0.5, head_weight=2.0).eval()
    parts = step(recipe)
    s, t = _features(recipe.student)[-1], _features(recipe.teacher)[-1]
    c = t.shape[1]
    expected = (_projected(recipe.projector, s, [c // 2, c // 2, c], last=True) - t).square().mean()
    torch.testing.assert_close(parts["feature"], expected.detach())
    torch.testing.assert_close(parts["loss"].detach(), 0.5 * parts["feature"] + 2 * parts["cross_entropy"])
    assert list(recipe.targets(images())) == ["feature_0"]


class Signed(TinyCNN):
    """Its stages end in BN, as linear bottlenecks do."""

    @staticmethod
    def _stage(c_in: int, c_out: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(c_in, c_out, 3, 2, 1), nn.BatchNorm2d(c_out))


def test_simkd_projector_may_be_negative_where_the_teacher_is() -> None:
    setup = pair(TinyCNN(8), Signed(12, seed=1))
    recipe = recipes.get("simkd")(setup).eval()
    s, t = _features(recipe.student)[-1], _features(recipe.teacher)[-1]
    c = t.shape[1]
    projected = _projected(recipe.projector, s, [c // 2, c // 2, c], last=True, relu=False)
    assert projected.min() < 0
    torch.testing.assert_close(step(recipe)["feature"], (projected - t).square().mean().detach())


@pytest.mark.parametrize("teacher", [TinyCNN, TinyViT])
@pytest.mark.parametrize("student", [TinyCNN, TinyViT])
def test_simkd_composite_is_student_projector_and_the_teachers_tail(student: Any, teacher: Any) -> None:
    recipe = recipes.get("simkd")(pair(student(8), teacher(12, seed=1))).eval()
    network = recipe.companions()["composite"]
    composite = network(images())
    assert composite.shape == (6, CLASSES)
    assert not any(name.startswith("student.head") for name in network.state_dict())
    assert any(name.startswith("teacher.head") for name in network.state_dict())
    assert not any(name.startswith("teacher.stages") for name in network.state_dict())
    torch.testing.assert_close(copy.deepcopy(network)(images()), composite)
    if student is teacher is TinyCNN:
        projected = recipe.projector(_features(recipe.student)[-1])
        torch.testing.assert_close(composite, recipe.teacher.head(projected.mean((2, 3))))


def test_simkd_composite_of_a_perfect_projector_is_the_teacher() -> None:
    recipe = _build("simkd", equal=True).eval()
    recipe.projector = nn.Identity()
    torch.testing.assert_close(recipe.companions()["composite"](images()), recipe.teacher(images()))
    assert step(recipe)["feature"] == 0


def test_simkd_has_no_composite_without_a_teacher_example() -> None:
    recipe = recipes.get("simkd")(replace(pair(TinyCNN(8), TinyCNN(8)), teacher_example=None))
    assert recipe.companions() == {}


def test_simkd_composite_leaves_the_networks_as_they_are() -> None:
    recipe = _build("simkd").train()
    before = {name: value.clone() for name, value in recipe.state_dict().items()}
    modes = {name: module.training for name, module in recipe.named_modules()}
    recipe.companions()
    assert all(torch.equal(value, before[name]) for name, value in recipe.state_dict().items())
    assert {name: module.training for name, module in recipe.named_modules()} == modes
    assert len(list(recipe.teacher.parameters())) == len(list(TinyCNN(12).parameters()))
    assert not any(p.requires_grad for p in recipe.teacher.parameters())
    assert all(p.requires_grad for p in recipe.student.parameters())
