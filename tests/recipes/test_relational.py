"""`pkt` and `rkd`: the feature losses of these names at the deepest pair, beside the labels."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from distill import losses, recipes
from tests.recipes.nets import TinyCNN, TinyViT, pair, step
from tests.recipes.test_baselines import _features

DEFAULTS = {"pkt": 30000.0, "rkd": 1.0}


@pytest.mark.parametrize("name", DEFAULTS)
@pytest.mark.parametrize("network", [TinyCNN, TinyViT])
def test_the_deepest_pair_averaged_over_its_positions(name: str, network: Any) -> None:
    recipe = recipes.get(name)(pair(network(8), network(12, seed=1)), cross_entropy_weight=0.5).eval()
    parts = step(recipe)
    axes = (2, 3) if network is TinyCNN else 1
    s, t = (_features(each)[-1].mean(axes) for each in (recipe.student, recipe.teacher))
    expected = losses.get(name)()(s, t)
    torch.testing.assert_close(parts["relation"], expected.detach())
    total = 0.5 * parts["cross_entropy"] + DEFAULTS[name] * expected
    torch.testing.assert_close(parts["loss"].detach(), total.detach(), rtol=1e-4, atol=1e-5)
    assert recipe.targets(torch.randn(3, 3, 16, 16))["feature_0"].shape == (3, t.shape[1])


def test_both_weights_of_rkd() -> None:
    x, y = torch.randn(7, 4), torch.randn(7, 5)
    both, distance, angle = (losses.get("rkd").weighing(*w)(x, y) for w in ((2.0, 3.0), (1.0, 0.0), (0.0, 1.0)))
    torch.testing.assert_close(both, 2 * distance + 3 * angle)
    recipe = recipes.get("rkd")(pair(TinyCNN(8), TinyCNN(8, seed=1)), distance_weight=2.0, angle_weight=3.0)
    assert (recipe.loss.distance, recipe.loss.angle) == (2.0, 3.0)


def test_many_rows_take_fewer_vertices_and_say_nearly_the_same() -> None:
    """300 rows: 186 of them are vertices."""
    torch.manual_seed(0)
    x, y = torch.randn(300, 3), torch.randn(300, 3)
    some = losses.get("rkd").weighing(0.0, 1.0)(x, y)
    whole = losses.get("rkd").weighing(0.0, 1.0)(x[::2], y[::2])
    assert float(some) == pytest.approx(float(whole), rel=0.05)
