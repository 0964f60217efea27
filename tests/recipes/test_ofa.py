"""One-for-all distillation against the arithmetic of its authors' code, class by class."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from distill import recipes
from distill.recipe_parts.branches import Branch
from distill.recipe_parts.layout import Layout
from distill.recipes.ofa import enhanced
from tests.recipes.nets import CLASSES, TinyCNN, TinyViT, images, labels, pair, step
from tests.recipes.test_baselines import _features


def naive(student: Tensor, teacher: Tensor, target: Tensor, epsilon: float, t: float) -> float:
    """The authors' ofa_loss."""
    total = 0.0
    for s, y, right in zip(student.double().tolist(), teacher.double().tolist(), target.tolist(), strict=True):
        q, p = ([math.exp(x / t) / sum(math.exp(z / t) for z in row) for x in row] for row in (s, y))
        for c in range(len(s)):
            mask = float(c == right)
            total -= ((p[c] + mask) ** epsilon - mask) * math.log(q[c])
    return total / len(target)


@pytest.mark.parametrize(("epsilon", "t"), [(1.0, 1.0), (1.5, 1.0), (1.4, 3.0)])
def test_against_the_naive_reference(epsilon: float, t: float) -> None:
    torch.manual_seed(0)
    student, teacher, target = 3 * torch.randn(7, 6), 3 * torch.randn(7, 6), torch.arange(7) % 6
    found = float(enhanced(student, teacher, target, epsilon, t))
    assert found == pytest.approx(naive(student, teacher, target, epsilon, t), rel=1e-5)


def test_without_a_label_none_is_enhanced() -> None:
    student, teacher = torch.randn(4, 6), torch.randn(4, 6)
    found = enhanced(student, teacher, torch.full((4,), -1), 1.0, 1.0)
    torch.testing.assert_close(found, -(teacher.softmax(1) * student.log_softmax(1)).sum(1).mean())


@pytest.mark.parametrize("student", [TinyCNN, TinyViT])
@pytest.mark.parametrize("teacher", [TinyCNN, TinyViT])
def test_the_sum_of_labels_student_and_branches(student: Any, teacher: Any) -> None:
    recipe = recipes.get("ofa")(
        pair(student(8), teacher(12, seed=1)),
        logit_weight=0.5,
        branch_weight=2.0,
        epsilon=1.5,
        cross_entropy_weight=3.0,
    ).eval()
    parts, t = step(recipe), recipe.teacher(images())
    own = naive(recipe.student(images()).detach(), t, labels(), 1.5, 1.0)
    answers = [branch(f) for branch, f in zip(recipe.branches, _features(recipe.student), strict=True)]
    assert all(answer.shape == (6, CLASSES) for answer in answers)
    branches = sum(naive(answer.detach(), t, labels(), 1.5, 1.0) for answer in answers)
    assert float(parts["logit"]) == pytest.approx(own, rel=1e-4)
    assert float(parts["branches"]) == pytest.approx(branches, rel=1e-4)
    total = 3 * parts["cross_entropy"] + 0.5 * parts["logit"] + 2 * parts["branches"]
    torch.testing.assert_close(parts["loss"].detach(), total)


def test_branches_of_maps_halve_them_once_for_each_layer_that_follows() -> None:
    """Channels double, and the last convolution gives the wider of both networks' last features."""
    branch = Branch(Layout((8, 16, 16)), 2, (32, 48), 5).eval()
    kernels = [tuple(m.weight.shape) for m in branch.modules() if isinstance(m, nn.Conv2d)]
    pointwise = [shape[:2] for shape in kernels if shape[2:] == (1, 1)]
    assert pointwise == [(8, 8), (16, 8), (16, 16), (48, 16)]
    assert branch.layers(torch.randn(2, 8, 16, 16)).shape == (2, 48, 4, 4)
    deepest = Branch(Layout((32, 4, 4)), 0, (32, 48), 5)
    assert [tuple(m.weight.shape) for m in deepest.layers] == [(48, 32, 1, 1)]


def test_branches_of_tokens_are_blocks_of_the_last_width() -> None:
    branch = Branch(Layout((5, 8)), 3, (12, 48), 7).eval()
    assert sum(isinstance(m, nn.TransformerEncoderLayer) for m in branch.layers) == 3
    assert branch(torch.randn(2, 5, 8)).shape == (2, 7)
    assert not isinstance(Branch(Layout((5, 12)), 0, (12, 48), 7).layers[0], nn.Linear)
