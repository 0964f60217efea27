"""Every recipe trains alike in one process and in two: gradients and statistics of the whole batch, within rounding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from distill import losses, recipes
from distill.recipe_parts.base import Setup
from distill.training import distributed, sharding
from tests.detection import test_answer as detection
from tests.detection.made_up import batch
from tests.recipes.nets import TinyCNN, images, labels, pair, targets_of
from tests.training.test_distributed import run_two

SAMPLES = 8
SHARES = (slice(0, 5), slice(5, SAMPLES))  # of different sizes
# What a recipe draws, each process draws for itself: compared without it.
UNDRAWN: dict[str, dict[str, Any]] = {"masked_generative": {"masked": 0.0}}
# Negatives are drawn, and cannot be done without: tests/recipes/test_crd.py says what holds.
DRAWN = {"crd"}
CASES: dict[str, dict[str, Any]] = {
    **{name: UNDRAWN.get(name, {}) for name in recipes.names() if name not in DRAWN},
    **{f"feature_logit {loss}": {"feature_loss": loss} for loss in losses.names()},
    "feature_only normalised": {"normalise": True},
    "semckd gram": {"feature_loss": "gram"},
}
SHARED = [case for case in CASES if case in recipes.without("live_teacher") or " " in case]
CPU = torch.device("cpu")


def material(name: str) -> tuple[Setup, Tensor, Tensor]:
    """Networks, inputs and labels that the recipe can learn from: objects where it wants regions."""
    if name in recipes.without("needs_regions"):
        return pair(TinyCNN(8), TinyCNN(12, seed=1)), images(SAMPLES), labels(SAMPLES)
    levels = [f"pyramid.smooth.{i}" for i in range(3)]
    return (detection.setup(detection.network(8), detection.network(12, 1), levels, levels), *batch(SAMPLES))


def gradients(case: str, share: slice, shared: bool = False) -> dict[str, Tensor]:
    """What a step of the recipe leaves in its parameters, and in its statistics. `shared`: networks lie in shares."""
    name = case.split()[0]
    setup, inputs, labelled = material(name)
    torch.manual_seed(0)
    recipe = recipes.get(name)(setup, **CASES[case]).train()
    for network in (recipe, recipe.teacher) if shared else ():
        assert network is not None
        sharding.shard(network, *([recipe.student] if network is recipe else []), device=CPU)
    trained, given, own = distributed.parallel(recipe), inputs[share], labelled[share]
    weight = recipe.answer.weight(own)
    predictions = distributed.mean_weight(weight, CPU)
    targets = targets_of(recipe, given)
    if shared:
        assert recipe.teacher is not None
        sharding.begin_anew(recipe.teacher)
    with distributed.whole_batch():
        parts = trained(given, own, targets)
    (parts["loss"] * (weight / predictions)).backward()
    found = {name: sharding.whole(p.grad) for name, p in recipe.named_parameters() if p.grad is not None}
    return found | {name: value for name, value in recipe.named_buffers() if value.is_floating_point()}


TOGETHER = """
import sys
from pathlib import Path
import torch
from distill.training import distributed
from tests.recipes.test_together import CASES, SHARED, SHARES, gradients
torch.set_num_threads(1)
with distributed.group() as rank:
    found = {(case, False): gradients(case, SHARES[rank]) for case in CASES}
    found |= {(case, True): gradients(case, SHARES[rank], True) for case in SHARED}
    torch.save(found, Path(sys.argv[1]) / f"{rank}.pt")
"""


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> list[dict[tuple[str, bool], dict[str, Tensor]]]:
    """Of both ranks, which are started once for all cases."""
    folder: Path = tmp_path_factory.mktemp("together")
    run_two(TOGETHER, [str(folder)])
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize(("case", "shared"), [(case, False) for case in CASES] + [(case, True) for case in SHARED])
def test_two_processes_have_the_gradients_of_one(
    case: str, shared: bool, together: list[dict[tuple[str, bool], dict[str, Tensor]]]
) -> None:
    one = gradients(case, slice(0, SAMPLES))
    largest = max(float(value.abs().max()) for value in one.values())  # a bias before a normalisation has rounding only
    for rank in together:
        assert rank[case, shared].keys() == one.keys()
        for name, value in one.items():
            atol = 1e-4 * float(value.abs().max()) + 1e-5 * largest
            torch.testing.assert_close(
                rank[case, shared][name], value, rtol=2e-3, atol=atol, msg=lambda m, n=name: f"{n}: {m}"
            )
