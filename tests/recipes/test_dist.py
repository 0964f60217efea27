"""DIST against the arithmetic of its authors' code, correlation by correlation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from distill import recipes
from tests.recipes.nets import TinyCNN, images, labels, pair, step


def naive(student: torch.Tensor, teacher: torch.Tensor, beta: float, gamma: float, t: float) -> float:
    """The authors' DIST: 1 - mean Pearson correlation of the probabilities' rows, and of their columns."""
    s, y = ((x.double() / t).softmax(1).numpy() for x in (student, teacher))
    rows = [float(np.corrcoef(a, b)[0, 1]) for a, b in zip(s, y, strict=True)]
    columns = [float(np.corrcoef(a, b)[0, 1]) for a, b in zip(s.T, y.T, strict=True)]
    return t**2 * (beta * (1 - float(np.mean(rows))) + gamma * (1 - float(np.mean(columns))))


@pytest.mark.parametrize(("beta", "gamma", "t"), [(1.0, 1.0, 1.0), (2.0, 0.5, 4.0), (0.0, 1.0, 1.0)])
def test_against_the_naive_reference(beta: float, gamma: float, t: float) -> None:
    recipe = recipes.get("dist")(
        pair(TinyCNN(8), TinyCNN(12, seed=1)), inter_weight=beta, intra_weight=gamma, temperature=t
    )
    torch.manual_seed(0)
    student, teacher = 3 * torch.randn(9, 5), 3 * torch.randn(9, 5)
    assert float(recipe.divergence(student, teacher)) == pytest.approx(
        naive(student, teacher, beta, gamma, t), rel=1e-5
    )


def test_the_recipe_adds_the_labels() -> None:
    recipe = recipes.get("dist")(pair(TinyCNN(8), TinyCNN(12, seed=1)), cross_entropy_weight=0.5)
    parts, s, t = step(recipe), recipe.student(images()).detach(), recipe.teacher(images())
    assert float(parts["logit"]) == pytest.approx(naive(s, t, 1, 1, 1), rel=1e-4)
    own = torch.nn.functional.cross_entropy(s, labels())
    assert float(parts["loss"].detach()) == pytest.approx(float(0.5 * own + parts["logit"]), rel=1e-5)


def test_what_is_constant_is_not_correlated_and_passes_no_nan() -> None:
    recipe = recipes.get("dist")(pair(TinyCNN(8), TinyCNN(12, seed=1)))
    student = torch.zeros(4, 5).requires_grad_()
    value = recipe.divergence(student, torch.randn(4, 5))
    value.backward()
    assert float(value) == pytest.approx(2)
    assert student.grad is not None
    assert student.grad.isfinite().all()
