"""Decoupled distillation against the arithmetic of its authors' code, answer by answer."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from distill import recipes
from distill.recipe_parts.base import Setup
from distill.recipes.dkd import decoupled_divergences
from distill.tasks.generate_text.answer import TokenAnswer
from distill.tasks.segment_images.answer import MaskAnswer
from tests.recipes.nets import TinyCNN, images, labels, pair, step


def naive(student: torch.Tensor, teacher: torch.Tensor, target: torch.Tensor, t: float) -> tuple[float, float]:
    """mdistiller's dkd_loss: of probabilities, right class against the sum of the others; then the softmax in which
    the right class has lost 1000."""
    first = second = 0.0
    for s_row, t_row, y in zip(student.tolist(), teacher.tolist(), target.tolist(), strict=True):
        probabilities = []
        for row in (s_row, t_row):
            scaled = [math.exp(x / t) for x in row]
            whole, cut = sum(scaled), [x / t - 1000.0 * (i == y) for i, x in enumerate(row)]
            rest = [math.exp(x) for x in cut]
            probabilities.append(((scaled[y] / whole, 1 - scaled[y] / whole), [x / sum(rest) for x in rest]))
        (b_s, o_s), (b_t, o_t) = probabilities
        first += sum(p * (math.log(p) - math.log(q)) for p, q in zip(b_t, b_s, strict=True))
        second += sum(p * (math.log(p) - math.log(q)) for p, q in zip(o_t, o_s, strict=True) if p > 0)
    return first * t**2 / len(target), second * t**2 / len(target)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("classes", [2, 10])
def test_against_the_naive_reference(temperature: float, classes: int) -> None:
    torch.manual_seed(0)
    student, teacher = 4 * torch.randn(7, classes), 4 * torch.randn(7, classes)
    target = torch.arange(7) % classes
    found = decoupled_divergences(student, teacher, target, temperature)
    assert [float(x) for x in found] == pytest.approx(naive(student, teacher, target, temperature), rel=2e-5, abs=1e-6)


@pytest.mark.parametrize("size", [1e3, 1e6])
def test_sure_networks_have_finite_losses_and_gradients(size: float) -> None:
    student = (size * torch.eye(4)).requires_grad_()
    value = sum(decoupled_divergences(student, size * torch.eye(4).roll(1, 0), torch.arange(4), 1.0))
    value.backward()
    assert value.isfinite()
    assert student.grad is not None
    assert student.grad.isfinite().all()


def test_the_sum_with_the_teachers_own_weights_is_the_plain_divergence() -> None:
    torch.manual_seed(1)
    student, teacher, target = torch.randn(1, 6), torch.randn(1, 6), torch.tensor([2])
    first, second = decoupled_divergences(student, teacher, target, 2.0)
    rest = 1 - (teacher / 2).softmax(1)[0, 2]
    p, q = (teacher / 2).softmax(1), (student / 2).softmax(1)
    torch.testing.assert_close(first + rest * second, 4 * (p * (p.log() - q.log())).sum())


def test_without_a_label_all_classes_are_wrong_ones() -> None:
    torch.manual_seed(3)
    student, teacher = torch.randn(5, 6).requires_grad_(), torch.randn(5, 6)
    first, second = decoupled_divergences(student, teacher, torch.full((5,), -1), 2.0)
    p, q = (teacher / 2).softmax(1), (student / 2).softmax(1)
    assert float(first.detach()) == 0
    torch.testing.assert_close(second, 4 * (p * (p.log() - q.log())).sum(1).mean())
    (first + second).backward()
    assert student.grad is not None
    assert student.grad.isfinite().all()


def test_the_recipe_weighs_them() -> None:
    recipe = recipes.get("dkd")(
        pair(TinyCNN(8), TinyCNN(12, seed=1)), target_weight=0.5, others_weight=3.0, cross_entropy_weight=2.0
    )
    parts, s, t = step(recipe), recipe.student(images()).detach(), recipe.teacher(images())
    first, second = naive(s, t, labels(), 4.0)
    assert float(parts["logit"]) == pytest.approx(0.5 * first + 3 * second, rel=1e-4)
    assert float(parts["loss"]) == pytest.approx(float(2 * parts["cross_entropy"] + parts["logit"]), rel=1e-5)


def test_labels_are_those_of_the_rows() -> None:
    """Of masks the labelled pixels', of decoders the answers' tokens'."""
    torch.manual_seed(2)
    s, t, y = torch.randn(2, 3, 2, 2), torch.randn(2, 3, 2, 2), torch.tensor([[[0, 1], [-1, 2]], [[2, -1], [-1, 0]]])
    rows = [x.permute(0, 2, 3, 1)[y >= 0] for x in (s, t)]
    assert _term(MaskAnswer(), s, t, y) == pytest.approx(_naive_term(*rows, y[y >= 0]), rel=1e-5)
    s, t, y = torch.randn(2, 4, 5), torch.randn(2, 4, 5), torch.tensor([[-100, -100, 1, 4], [-100, 0, 3, -100]])
    rows = [torch.stack([x[0, 1], x[0, 2], x[1, 0], x[1, 1]]) for x in (s, t)]
    assert _term(TokenAnswer(), s, t, y) == pytest.approx(_naive_term(*rows, torch.tensor([1, 4, 0, 3])), rel=1e-5)


def _term(answer: Any, student: torch.Tensor, teacher: torch.Tensor, target: torch.Tensor) -> float:
    networks = [torch.nn.Identity(), torch.nn.Identity()]
    recipe = recipes.get("dkd")(Setup(*networks, student.shape[1], answer=answer))
    return float(recipe(student, target, {"logits": teacher})["logit"])


def _naive_term(student: torch.Tensor, teacher: torch.Tensor, target: torch.Tensor) -> float:
    first, second = naive(student, teacher, target, 4.0)
    return first + 8 * second
