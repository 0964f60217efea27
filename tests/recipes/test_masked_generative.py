"""Masked generation against the authors' formula on the same tensors."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from distill import recipes
from distill.recipe_parts.layout import CommonResolution, Layout
from distill.recipes.masked_generative import Generator
from tests.recipes.nets import TinyCNN, pair


def reference(student: Tensor, teacher: Tensor, generate: Generator, masked: float) -> float:
    """As `FeatureLoss` of yzd-v/MGD: a random number a position, hidden where it is above 1 - masked; here the draw is
    turned round, so that the same positions are hidden."""
    aligned = generate.align(student)
    mask = torch.rand(len(aligned), 1, *aligned.shape[2:])
    mask = torch.where(1 - mask > 1 - masked, 0.0, 1.0)
    return float(nn.MSELoss(reduction="sum")(generate.generation(aligned * mask), teacher) / len(aligned))


def test_the_term_is_the_authors() -> None:
    generator = torch.Generator().manual_seed(0)
    student = torch.randn(3, 4, 6, 5, generator=generator)
    teacher = torch.randn(3, 7, 6, 5, generator=generator)
    made = Generator(CommonResolution(Layout((4, 6, 5)), Layout((7, 6, 5))), 0.65)
    torch.manual_seed(5)
    found = float(made.error(student, teacher).detach())
    torch.manual_seed(5)
    assert found == pytest.approx(reference(student, teacher, made, 0.65), rel=1e-6)


def test_what_is_hidden_is_drawn_anew_in_training_alone() -> None:
    student = torch.randn(2, 4, 8, 8)
    made = Generator(CommonResolution(Layout((4, 8, 8)), Layout((4, 8, 8))), 0.5)
    assert not torch.equal(made(student), made(student))
    assert torch.equal(made.eval()(student), made(student))


def test_the_parts_of_the_student_are_delivered_alone() -> None:
    student, teacher = TinyCNN(8), TinyCNN(12, seed=1)
    recipe = recipes.get("masked_generative")(pair(student, teacher))
    assert recipe.exported() is student
    assert {name for name, _ in recipe.named_children()} >= {"generators", "student"}
