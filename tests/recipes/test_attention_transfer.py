"""Attention transfer against the arithmetic of the benchmark's code, position by position."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from distill import recipes
from distill.errors import InvalidConfig
from distill.recipes.attention_transfer import attention_gap
from tests.recipes.nets import STAGES, TinyCNN, TinyViT, pair, step
from tests.recipes.test_baselines import _features


def naive(student: Tensor, teacher: Tensor, power: int = 2) -> float:
    """RepDistiller's Attention: mean over channels of the powers, one norm a sample, mean of squared differences."""
    total, count = 0.0, 0
    for s, t in zip(student.double(), teacher.double(), strict=True):
        maps = []
        for f in (s, t):
            c, h, w = f.shape
            flat = [sum(float(f[k, i, j]) ** power for k in range(c)) / c for i in range(h) for j in range(w)]
            size = math.sqrt(sum(x * x for x in flat))
            maps.append([x / size for x in flat])
        total += sum((a - b) ** 2 for a, b in zip(*maps, strict=True))
        count += len(maps[0])
    return total / count


@pytest.mark.parametrize("power", [2, 4])
def test_against_the_naive_reference(power: int) -> None:
    torch.manual_seed(0)
    student, teacher = torch.randn(3, 4, 3, 2), torch.randn(3, 6, 3, 2)
    assert float(attention_gap(student, teacher, power)) == pytest.approx(naive(student, teacher, power), rel=1e-5)
    tokens = [x.flatten(2).movedim(1, -1) for x in (student, teacher)]
    assert float(attention_gap(*tokens, power)) == pytest.approx(naive(student, teacher, power), rel=1e-5)


def test_the_recipe_sums_over_pairs_at_the_smaller_size() -> None:
    setup = pair(TinyCNN(8), TinyCNN(12, seed=1), STAGES[:2], STAGES[1:])
    recipe = recipes.get("attention_transfer")(setup, attention_weight=10.0, cross_entropy_weight=0.5).eval()
    students, teachers = _features(recipe.student)[:2], _features(recipe.teacher)[1:]
    parts = step(recipe)
    expected = sum(
        naive(F.adaptive_avg_pool2d(s.detach(), t.shape[-1]), t) for s, t in zip(students, teachers, strict=True)
    )
    assert float(parts["attention"]) == pytest.approx(expected, rel=1e-4)
    total = 0.5 * parts["cross_entropy"] + 10 * parts["attention"]
    torch.testing.assert_close(parts["loss"].detach(), total)


@pytest.mark.parametrize("student", [TinyCNN, TinyViT])
def test_nothing_to_learn_from_oneself_whatever_the_scale(student: Any) -> None:
    recipe = recipes.get("attention_transfer")(pair(student(8), student(8))).eval()
    assert float(step(recipe)["attention"]) == pytest.approx(0, abs=1e-9)
    x = torch.randn(2, 3, 4, 4)
    assert float(attention_gap(7 * x, x)) == pytest.approx(0, abs=1e-12)


def test_one_position_is_no_map() -> None:
    assert float(attention_gap(torch.randn(3, 4, 1, 1), torch.randn(3, 5, 1, 1))) == pytest.approx(0, abs=1e-12)
    rows = replace(pair(TinyCNN(8), TinyCNN(8), STAGES[:2], STAGES[:2]), student_shapes=((8,), (16,)))
    with pytest.raises(InvalidConfig, match="positions"):
        recipes.get("attention_transfer")(rows)


@pytest.mark.parametrize(("student", "teacher", "refused"), [
    ([(8,), (8, 1, 1)], None, True), ([(8,), (8, 4, 4)], None, False),
    ([(8, 4, 4)], [(16, 1, 1)], True), ([(8, 4, 4)], [(4, 8)], False),
])  # fmt: skip
def test_layers_without_positions_are_refused_by_their_shapes_alone(student: Any, teacher: Any, refused: bool) -> None:
    check = recipes.get("attention_transfer").check_pairs
    if refused:
        with pytest.raises(InvalidConfig):
            check({}, student, teacher)
    else:
        check({}, student, teacher)


def test_dead_maps_pass_no_nan() -> None:
    student = torch.zeros(2, 3, 4, 4).requires_grad_()
    attention_gap(student, torch.randn(2, 3, 4, 4)).backward()
    assert student.grad is not None
    assert student.grad.isfinite().all()
