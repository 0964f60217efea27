"""FitNet's hint against the regressor of the benchmark's code written out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill import recipes
from distill.errors import InvalidConfig
from tests.recipes.nets import STAGES, TinyCNN, TinyViT, pair, step
from tests.recipes.test_baselines import Signed, _features


def regressed(recipe: Any, x: Tensor, relu: bool = True) -> Tensor:
    """RepDistiller's ConvReg in eval mode from the weights, sizes as the student's and the teacher's layers have."""
    convolution, norm = (recipe.regressor.layers[i] for i in (0, 1))
    weight, bias = convolution.weight, convolution.bias
    if isinstance(convolution, nn.ConvTranspose2d):
        x = F.conv_transpose2d(x, weight, bias, stride=2, padding=1)
    else:
        side = weight.shape[-1]
        x = F.conv2d(x, weight, bias, stride=2 if side == 3 else 1, padding=side // 2)
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    x = (x - norm.running_mean[:, None, None]) * scale[:, None, None] + norm.bias[:, None, None]
    return x.clamp(min=0) if relu else x


# Student layers, teacher layers, kernel: equal sizes; the student's map twice as large; half as large.
CASES = [(STAGES, STAGES, (1, 1)), (STAGES[:2], STAGES[1:], (3, 3)), (STAGES[1:], STAGES[:2], (4, 4))]


@pytest.mark.parametrize(("student_layers", "teacher_layers", "kernel"), CASES)
def test_the_hint_written_out(student_layers: Any, teacher_layers: Any, kernel: tuple[int, int]) -> None:
    setup = pair(TinyCNN(8), TinyCNN(12, seed=1), student_layers, teacher_layers)
    recipe = recipes.get("fitnet")(setup, hint_weight=7.0, cross_entropy_weight=0.5).eval()
    middle = (len(student_layers) - 1) // 2
    assert recipe.student_layers == (student_layers[middle],)
    assert recipe.regressor.layers[0].kernel_size == kernel
    s = _features(recipe.student)[STAGES.index(student_layers[middle])]
    t = _features(recipe.teacher)[STAGES.index(teacher_layers[middle])]
    found = regressed(recipe, s)
    assert found.shape == t.shape
    parts = step(recipe)
    torch.testing.assert_close(parts["hint"], F.mse_loss(found, t).detach())
    torch.testing.assert_close(parts["loss"].detach(), 0.5 * parts["cross_entropy"] + 7 * parts["hint"])


def test_a_teacher_that_is_negative_has_no_relu() -> None:
    recipe = recipes.get("fitnet")(pair(TinyCNN(8), Signed(12, seed=1)), hint=2).eval()
    s, t = _features(recipe.student)[2], _features(recipe.teacher)[2]
    torch.testing.assert_close(step(recipe)["hint"], F.mse_loss(regressed(recipe, s, relu=False), t).detach())


def test_other_sizes_meet_at_the_smaller() -> None:
    setup = pair(TinyCNN(8), TinyCNN(12, seed=1), STAGES[:1], STAGES[2:])
    recipe = recipes.get("fitnet")(setup).eval()
    s, t = _features(recipe.student)[0], _features(recipe.teacher)[2]
    torch.testing.assert_close(
        step(recipe)["hint"], F.mse_loss(regressed(recipe, F.adaptive_avg_pool2d(s, t.shape[-1])), t).detach()
    )


def test_tokens_have_a_linear_regressor() -> None:
    recipe = recipes.get("fitnet")(pair(TinyViT(8), TinyViT(12, seed=1)), hint=0).eval()
    s, t = _features(recipe.student)[0], _features(recipe.teacher)[0]
    layer = recipe.regressor.layers
    torch.testing.assert_close(step(recipe)["hint"], F.mse_loss(s @ layer.weight.T + layer.bias, t).detach())


def test_a_hint_that_is_no_pair() -> None:
    with pytest.raises(InvalidConfig) as caught:
        recipes.get("fitnet")(pair(TinyCNN(8), TinyCNN(8)), hint=3)
    assert caught.value.details == {"parameter": "hint", "pairs": 3}
