"""Variational information distillation against the benchmark's code written out, value by value."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from distill import recipes
from distill.recipe_parts.layout import CommonResolution, Layout
from distill.recipes.vid import Gaussian
from tests.recipes.nets import TinyCNN, TinyViT, pair, step
from tests.recipes.test_baselines import _features


def naive(gaussian: Any, student: Tensor, teacher: Tensor) -> float:
    """RepDistiller's VIDLoss: (n, c, h, w) maps through three matrices, and one variance a channel."""
    matrices = [weight.double().flatten(1) for name, weight in gaussian.mean.state_dict().items()]
    assert [tuple(m.shape) for m in matrices[1:]] == [(teacher.shape[1],) * 2] * 2
    total, count = 0.0, 0
    for s, t in zip(student.double(), teacher.double(), strict=True):
        for i in range(s.shape[1]):
            for j in range(s.shape[2]):
                m = matrices[2] @ (matrices[1] @ (matrices[0] @ s[:, i, j]).relu()).relu()
                for c in range(len(t)):
                    v = math.log(1 + math.exp(float(gaussian.log_scale[c].detach()))) + 1e-5
                    total += 0.5 * (float(m[c] - t[c, i, j]) ** 2 / v + math.log(v))
                    count += 1
    return total / count


def test_against_the_naive_reference() -> None:
    torch.manual_seed(0)
    gaussian = Gaussian(CommonResolution(Layout((4, 3, 2)), Layout((5, 3, 2))), 5.0)
    student, teacher = torch.randn(2, 4, 3, 2), 2 * torch.randn(2, 5, 3, 2)
    assert float(gaussian(student, teacher)) == pytest.approx(naive(gaussian, student, teacher), rel=1e-5)
    with torch.no_grad():
        gaussian.log_scale.copy_(torch.linspace(-3, 3, 5))
    assert float(gaussian(student, teacher)) == pytest.approx(naive(gaussian, student, teacher), rel=1e-5)


@pytest.mark.parametrize("variance", [0.5, 5.0])
def test_the_variance_begins_as_it_is_asked_for(variance: float) -> None:
    gaussian = Gaussian(CommonResolution(Layout((4,)), Layout((5,))), variance)
    found = torch.nn.functional.softplus(gaussian.log_scale) + 1e-5
    torch.testing.assert_close(found, torch.full((5,), variance))


def test_the_recipe_sums_over_pairs() -> None:
    recipe = recipes.get("vid")(pair(TinyCNN(8), TinyCNN(12, seed=1)), information_weight=3.0).eval()
    parts = step(recipe)
    pairs = zip(recipe.gaussians, _features(recipe.student), _features(recipe.teacher), strict=True)
    expected = sum(naive(g, s.detach(), t) for g, s, t in pairs)
    assert float(parts["information"]) == pytest.approx(expected, rel=1e-4)
    torch.testing.assert_close(parts["loss"].detach(), parts["cross_entropy"] + 3 * parts["information"])


def test_tokens_are_positions() -> None:
    recipe = recipes.get("vid")(pair(TinyViT(8), TinyViT(12, seed=1))).eval()
    pairs = zip(recipe.gaussians, _features(recipe.student), _features(recipe.teacher), strict=True)
    columns = [(g, *(x.detach().movedim(-1, 1)[..., None] for x in features)) for g, *features in pairs]
    assert float(step(recipe)["information"]) == pytest.approx(sum(naive(*each) for each in columns), rel=1e-4)
