"""Knowledge review against the authors' attention-based fusion and hierarchical loss written out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from distill import recipes
from distill.recipes.review import pyramid_gap
from tests.recipes.nets import STAGES, TinyCNN, TinyViT, pair, step
from tests.recipes.test_baselines import _features


def naive_gap(student: Tensor, teacher: Tensor) -> float:
    """ReviewKD's hcl of one pair of square maps."""
    side = student.shape[2]
    total, weights, weight = float((student - teacher).square().mean()), 1.0, 1.0
    for level in (4, 2, 1):
        if level >= side:
            continue
        cells = side // level
        s, t = (x.unflatten(3, (level, cells)).unflatten(2, (level, cells)).mean((3, 5)) for x in (student, teacher))
        weight /= 2
        total += weight * float((s - t).square().mean())
        weights += weight
    return total / weights


@pytest.mark.parametrize("side", [1, 2, 4, 8, 16])
def test_the_hierarchical_loss(side: int) -> None:
    torch.manual_seed(0)
    student, teacher = torch.randn(3, 5, side, side), torch.randn(3, 5, side, side)
    assert float(pyramid_gap(student, teacher)) == pytest.approx(naive_gap(student, teacher), rel=1e-5)


def normed(x: Tensor, norm: Any) -> Tensor:
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    return (x - norm.running_mean[:, None, None]) * scale[:, None, None] + norm.bias[:, None, None]


def repeated(x: Tensor, size: int) -> Tensor:
    """Nearest neighbour between sizes of which one divides the other."""
    side = x.shape[-1]
    if size >= side:
        return x.repeat_interleave(size // side, 2).repeat_interleave(size // side, 3)
    return x[:, :, :: side // size, :: side // size]


def reviewed(recipe: Any, students: list[Tensor], teachers: list[Tensor]) -> list[Tensor]:
    """ReviewKD's ABF from the weights, deepest first; results shallowest first."""
    results: list[Tensor] = []
    before: Tensor | None = None
    for fusion, s, t in reversed(list(zip(recipe.fusions, students, teachers, strict=True))):
        x = normed(torch.einsum("nchw,dc->ndhw", s, fusion.inward[0].weight.flatten(1)), fusion.inward[1])
        if before is not None:
            y = repeated(before, x.shape[-1])
            logits = torch.einsum("nchw,dc->ndhw", torch.cat([x, y], 1), fusion.attention.weight.flatten(1))
            a, b = (1 / (1 + (-logits - fusion.attention.bias[:, None, None]).exp())).split(1, 1)
            x = x * a + y * b
        before = repeated(x, t.shape[-1])
        results.insert(0, normed(F.conv2d(before, fusion.outward[0].weight, padding=1), fusion.outward[1]))
    return results


LAYERS = [(STAGES, STAGES), (STAGES[:2], STAGES[1:]), (STAGES[1:], STAGES[:2])]


@pytest.mark.parametrize(("student_layers", "teacher_layers"), LAYERS)
def test_the_recipe_written_out(student_layers: Any, teacher_layers: Any) -> None:
    setup = pair(TinyCNN(8), TinyCNN(12, seed=1), student_layers, teacher_layers)
    recipe = recipes.get("review")(setup, review_weight=3.0, cross_entropy_weight=0.5).eval()
    assert recipe.fusions[-1].attention is None
    students = [f for name, f in zip(STAGES, _features(recipe.student), strict=True) if name in student_layers]
    teachers = [f for name, f in zip(STAGES, _features(recipe.teacher), strict=True) if name in teacher_layers]
    found = reviewed(recipe, students, teachers)
    expected = sum(naive_gap(r.detach(), t) for r, t in zip(found, teachers, strict=True))
    parts = step(recipe)
    assert float(parts["review"]) == pytest.approx(expected, rel=1e-4)
    torch.testing.assert_close(parts["loss"].detach(), 0.5 * parts["cross_entropy"] + 3 * parts["review"])


@pytest.mark.parametrize("student", [TinyCNN, TinyViT])
def test_tokens_are_maps_of_width_one(student: Any) -> None:
    recipe = recipes.get("review")(pair(student(8), TinyViT(12, seed=1))).eval()
    kept = recipe.targets(torch.randn(3, 3, 16, 16))
    assert kept["feature_0"].shape == (3, 12, 17, 1)
    assert step(recipe)["review"].isfinite()
