"""`layer_schedule`: which pairs count at which time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from distill import recipes
from distill.errors import InvalidConfig
from tests.recipes.nets import STAGES, TinyCNN, pair, step

NAMES = ["feature_only", "feature_logit"]


def built(name: str, setup: Any = None, **parameters: Any) -> Any:
    torch.manual_seed(0)
    return recipes.get(name)(setup or pair(TinyCNN(4), TinyCNN(8, seed=1)), **parameters)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("done", "left"), [(0.0, 1.0), (0.5, 0.5), (1.0, 0.0)])
def test_all_pairs_but_the_deepest_fade_out(name: str, done: float, left: float) -> None:
    fading = built(name, layer_schedule="deepest_last")
    fading.at(done)
    weighted = built(name, layer_weights=[left, left, 1.0])
    torch.testing.assert_close(step(fading)["feature"], step(weighted)["feature"])


def test_weights_given_fade_too_and_by_default_none_does() -> None:
    fading, plain = built("feature_only", layer_schedule="deepest_last", layer_weights=[4, 2, 3]), built("feature_only")
    fading.at(0.5)
    plain.at(0.5)
    torch.testing.assert_close(step(fading)["feature"], step(built("feature_only", layer_weights=[2, 1, 3]))["feature"])
    torch.testing.assert_close(step(plain)["feature"], step(built("feature_only"))["feature"])


def test_of_several_teachers_the_deepest_of_each_stays() -> None:
    one = pair(TinyCNN(4), TinyCNN(8, seed=1))
    names = ("student_layers", "teacher_layers", "student_shapes", "teacher_shapes")
    two = replace(one, **{name: getattr(one, name)[1:] * 2 for name in names}, teacher_shares=(0.25, 0.25, 0.75, 0.75))
    recipe = built("feature_only", two, layer_schedule="deepest_last")
    assert recipe.features.fading == (True, False, True, False)


def test_evaluation_counts_them_as_at_the_beginning() -> None:
    """So that losses on held-out samples compare over time."""
    recipe, plain = built("feature_only", layer_schedule="deepest_last"), built("feature_only")
    recipe.at(1.0)
    recipe.eval()
    plain.eval()
    torch.testing.assert_close(step(recipe)["feature"], step(plain)["feature"])


def test_a_checkpoint_has_nothing_of_it_and_other_words_are_refused() -> None:
    assert (
        built("feature_only", layer_schedule="deepest_last").state_dict().keys()
        == built("feature_only").state_dict().keys()
    )
    with pytest.raises(InvalidConfig):
        built("feature_only", layer_schedule="shallow_last")
    assert len(STAGES) == 3
