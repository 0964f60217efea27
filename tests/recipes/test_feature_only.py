"""feature_only and cross_entropy: gradient guarantee, reference, knobs, clear errors."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill import losses, recipes
from distill.errors import InvalidConfig
from distill.layers import capture
from distill.recipe_parts.base import Setup
from tests.recipes.nets import STAGES, TinyCNN, TinyViT, images, labels, pair, step


def _recipe(**parameters: Any) -> Any:
    return recipes.get("feature_only")(pair(TinyCNN(4), TinyCNN(8, seed=1)), **parameters)


def test_cross_entropy_needs_no_teacher_and_no_layers() -> None:
    student = TinyCNN(4)
    recipe = recipes.get("cross_entropy")(Setup(student, None, 5))
    assert recipe.targets(images()) == {}
    parts = recipe(images(), labels(), {})
    torch.testing.assert_close(parts["loss"], F.cross_entropy(student(images()), labels()))
    torch.testing.assert_close(parts["outputs"], student(images()))
    assert not parts["outputs"].requires_grad


@pytest.mark.parametrize("loss", losses.names())
def test_cross_entropy_trains_the_head_alone_and_features_the_backbone_alone(loss: str) -> None:
    recipe = _recipe(feature_loss=loss, feature_weight=0.0)
    step(recipe)["loss"].backward()
    for name, parameter in recipe.student.named_parameters():
        reached = parameter.grad is not None and bool(parameter.grad.abs().sum() > 0)
        assert reached == name.startswith("head"), name
    recipe = _recipe(feature_loss=loss, head_weight=0.0)
    step(recipe)["loss"].backward()
    for name, parameter in recipe.student.named_parameters():
        reached = parameter.grad is not None and bool(parameter.grad.abs().sum() > 0)
        assert reached != name.startswith("head"), name


def test_equals_the_formula_written_out() -> None:
    recipe = _recipe(feature_weight=0.7, head_weight=1.3)
    parts = step(recipe)
    with capture(recipe.student, STAGES) as s:
        logits = recipe.student(images())
    with torch.no_grad(), capture(recipe.teacher, STAGES) as t:
        recipe.teacher(images())
    terms = []
    for i, name in enumerate(STAGES):
        W = recipe.features.pairs[i].projector.weight[:, :, 0, 0]
        terms.append((torch.einsum("ts,nshw->nthw", W, s[name]) - t[name]).square().mean())
    feature = sum(terms) / len(terms)
    head = F.cross_entropy(logits, labels())
    torch.testing.assert_close(parts["feature"], feature.detach())
    torch.testing.assert_close(parts["cross_entropy"], head.detach())
    torch.testing.assert_close(parts["loss"], 0.7 * feature + 1.3 * head)


def test_student_equal_to_teacher_has_no_feature_loss() -> None:
    recipe = recipes.get("feature_only")(pair(TinyCNN(4), TinyCNN(4)))
    recipe.student.eval()
    assert step(recipe)["feature"] == 0


@pytest.mark.parametrize("loss", ["procrustes", "gram", "cka"])
def test_losses_without_projector_have_none_and_vanish_for_equal_networks(loss: str) -> None:
    recipe = recipes.get("feature_only")(pair(TinyCNN(4), TinyCNN(4)), feature_loss=loss)
    recipe.student.eval()
    assert step(recipe)["feature"].item() == pytest.approx(0, abs=1e-6)
    assert set(recipe.state_dict()) == {f"student.{k}" for k in recipe.student.state_dict()}


def test_maps_are_pooled_to_the_smaller_of_the_pair_on_either_side() -> None:
    recipe = recipes.get("feature_only")(
        pair(TinyCNN(4), TinyCNN(4, seed=1), STAGES[:1], STAGES[1:2], teacher_example=images(2, 32))
    )
    target = recipe.targets(images(6, 32))["feature_0"]
    assert target.shape == (6, 8, 8, 8)
    recipe = recipes.get("feature_only")(pair(TinyCNN(4), TinyCNN(4, seed=1), STAGES[1:2], STAGES[:1]))
    with torch.no_grad(), capture(recipe.teacher, STAGES[:1]) as t:
        recipe.teacher(images())
    torch.testing.assert_close(recipe.targets(images())["feature_0"], F.avg_pool2d(t[STAGES[0]], 2))


def test_targets_are_small_for_losses_without_projector() -> None:
    recipe = _recipe(feature_loss="cka", grid=1)
    targets = recipe.targets(images())
    assert [tuple(t.shape) for t in targets.values()] == [(6, 8), (6, 16), (6, 32)]
    assert _recipe(feature_loss="cka", grid=2).targets(images())["feature_0"].shape == (6, 8 * 4)


def test_tokens_project_the_channel_axis_and_pool_the_token_axis() -> None:
    recipe = recipes.get("feature_only")(pair(TinyViT(8), TinyViT(12, seed=1)))
    assert recipe.targets(images())["feature_0"].shape == (6, 17, 12)
    across = recipes.get("feature_only")(pair(TinyCNN(4), TinyViT(12, seed=1)))
    assert across.targets(images())["feature_2"].shape == (6, 4, 12)
    assert isinstance(across.features.pairs[0].projector, nn.Linear)


def test_normalise_makes_the_loss_blind_to_the_targets_scale() -> None:
    recipe = _recipe(normalise=True)
    targets = recipe.targets(images())
    scaled = {name: 10 * t for name, t in targets.items()}
    a, b = (recipe(images(), labels(), t)["feature"] for t in (targets, scaled))
    torch.testing.assert_close(a, b)
    assert torch.isfinite(recipe(images(), labels(), {k: 0 * t for k, t in targets.items()})["loss"])


def test_between_equal_widths_normalise_divides_each_term_by_the_targets_mean_square() -> None:
    """And so a student that is its teacher begins without a loss."""
    student, teacher = TinyCNN(8), TinyCNN(8, seed=1)
    recipe = recipes.get("feature_only")(pair(student, teacher), normalise=True)
    targets = recipe.targets(images())
    with capture(student, STAGES) as seen:
        student(images())
    terms = [F.mse_loss(seen[name], t) / t.square().mean() for name, t in zip(STAGES, targets.values(), strict=True)]
    torch.testing.assert_close(recipe(images(), labels(), targets)["feature"], sum(terms) / len(terms))
    copy = recipes.get("feature_only")(pair(deepcopy(teacher), teacher), normalise=True)
    assert step(copy)["feature"].item() == pytest.approx(0, abs=1e-6)


def test_layer_weights_weigh_the_pairs() -> None:
    torch.manual_seed(0)
    plain = _recipe()
    weighted = _recipe(layer_weights=[3, 0, 0])
    weighted.load_state_dict(plain.state_dict())
    only = recipes.get("feature_only")(pair(plain.student, plain.teacher, STAGES[:1], STAGES[:1]))
    only.features.pairs[0].load_state_dict(plain.features.pairs[0].state_dict())
    torch.testing.assert_close(step(weighted)["feature"], step(only)["feature"])
    with pytest.raises(InvalidConfig, match="2 values for 3 pairs"):
        _recipe(layer_weights=[1, 1])


@pytest.mark.parametrize("name", ["feature_only", "feature_logit"])
def test_a_second_loss_joins_the_first(name: str) -> None:
    def build(**parameters: Any) -> Any:
        torch.manual_seed(0)
        return recipes.get(name)(pair(TinyCNN(4), TinyCNN(8, seed=1)), **parameters)

    joined = build(feature_loss="mse", extra_loss="procrustes", extra_weight=0.3)
    first, second = build(feature_loss="mse"), build(feature_loss="procrustes")
    first.features.pairs.load_state_dict(joined.features.pairs.state_dict())
    expected = step(first)["feature"] + 0.3 * step(second)["feature"]
    torch.testing.assert_close(step(joined)["feature"], expected)
    assert set(joined.targets(images())) >= {"feature_0", "extra_0"}
    twice = build(feature_loss="mse", extra_loss="mse")
    assert len(twice.features.extra_pairs) == 3
    step(twice)["loss"].backward()
    assert all(p.grad is not None for p in twice.parameters())


class _Bypass(TinyCNN):
    """The head also reads the second stage: nothing detached at the third can keep CE from it."""

    def forward(self, x: Tensor) -> Tensor:
        middle = self.stages[1](self.stages[0](x))
        y: Tensor = self.head(self.stages[2](middle).mean((2, 3)) + middle.mean((2, 3)).repeat(1, 2))
        return y


def test_a_connection_past_the_deepest_layer_is_refused() -> None:
    with pytest.raises(InvalidConfig) as error:
        recipes.get("feature_only")(pair(_Bypass(4), TinyCNN(8)))
    assert "stages.0.0.weight" in error.value.details["parameters"]


def test_the_proof_leaves_the_student_as_it_was() -> None:
    student = TinyCNN(4).train()
    student.stages[0].eval()
    before = {k: v.clone() for k, v in student.state_dict().items()}
    state = torch.get_rng_state()
    setup = pair(student, TinyCNN(8))
    torch.set_rng_state(state)
    recipes.get("feature_only")(setup, feature_loss="cka")
    assert torch.equal(torch.get_rng_state(), state)
    assert student.training
    assert not student.stages[0].training
    assert all(p.grad is None for p in student.parameters())
    assert all(torch.equal(v, before[k]) for k, v in student.state_dict().items())


def test_missing_teacher_and_unpaired_layers_are_refused() -> None:
    setup = pair(TinyCNN(4), TinyCNN(8))
    with pytest.raises(InvalidConfig, match="needs a teacher"):
        recipes.get("feature_only")(replace(setup, teacher=None))
    with pytest.raises(InvalidConfig, match="2 student and 3 teacher"):
        recipes.get("feature_only")(replace(setup, student_layers=STAGES[:2], student_shapes=setup.student_shapes[:2]))
    empty: Any = {"student_layers": (), "teacher_layers": (), "student_shapes": (), "teacher_shapes": ()}
    with pytest.raises(InvalidConfig, match="0 student and 0 teacher"):
        recipes.get("feature_only")(replace(setup, **empty))
