"""Targets come from the cache as they are stored, features in bf16: every recipe works with an fp32 student on them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from distill import losses, recipes
from distill.training.cache import stored_dtype
from tests.language import test_recipes as texts
from tests.language import tiny
from tests.recipes.nets import targets_of
from tests.recipes.test_every_recipe import FAMILIES, _build, images, labels

NAMES = [name for name in recipes.without("needs_regions") if recipes.get(name).needs_layers]
CASES: list[tuple[str, dict[str, Any]]] = [(name, {}) for name in NAMES]
CASES += [
    (name, {"feature_loss": loss})
    for name in NAMES
    if "feature_loss" in recipes.registry.parameters(name)
    for loss in losses.names()
    if loss != "mse"
]
CASES += [
    (name, change)
    for name in NAMES
    if "extra_loss" in recipes.registry.parameters(name)
    for change in ({"normalise": True}, {"extra_loss": "gram"}, {"feature_loss": "cka", "extra_loss": "mse"})
]
TEXTS = [("bert", "classify", "cls"), ("bert", "classify", "tokens"), ("llama", "generate", "tokens")]


def as_stored(targets: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.to(stored_dtype(name, value)) for name, value in targets.items()}


def check(recipe: Any, given: Any, answers: Tensor) -> None:
    """The loss is that of the wide targets within bf16's rounding of them, and every gradient is fp32."""
    targets = targets_of(recipe, given)
    torch.manual_seed(0)
    expected = recipe(given, answers, targets)["loss"].detach()
    narrow = as_stored(targets)
    assert "feature_0" not in narrow or narrow["feature_0"].dtype == torch.bfloat16
    torch.manual_seed(0)
    loss = recipe(given, answers, narrow)["loss"]
    loss.backward()
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss.detach(), expected, rtol=2e-2, atol=1e-3)
    gradients = [p.grad for p in recipe.parameters() if p.grad is not None]
    assert gradients
    assert all(g.dtype == torch.float32 and bool(g.isfinite().all()) for g in gradients)


@pytest.mark.parametrize(("name", "parameters"), CASES)
@pytest.mark.parametrize("family", FAMILIES)
def test_recipes_on_images(name: str, parameters: dict[str, Any], family: str) -> None:
    check(_build(name, family, **parameters).eval(), images(), labels())


@pytest.mark.parametrize(("name", "parameters"), CASES)
@pytest.mark.parametrize(("family", "task", "view"), TEXTS)
def test_recipes_on_texts(name: str, parameters: dict[str, Any], family: str, task: str, view: str) -> None:
    torch.manual_seed(3)
    if losses.get(parameters.get("feature_loss", "mse")).by_channel:
        pytest.skip("a row of a text has no positions: refused, tests/language/test_recipes.py")
    if name not in tiny.OFFERED[task]:
        pytest.skip("the task does not offer it")
    recipe = recipes.get(name)(texts.setup(family, task, view), **parameters).eval()
    inputs = tiny.batch()
    check(recipe, inputs, texts.labels_of(task, inputs))
