"""What holds for every recipe in the registry, on CNN, ViT, channels-last and mixed pairs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from distill import losses, recipes
from distill.errors import InvalidConfig
from tests.recipes.nets import (
    CLASSES,
    STAGES,
    ChannelsLastNet,
    TinyCNN,
    TinyEncoder,
    TinyViT,
    images,
    labels,
    pair,
    step,
    targets_of,
)

FAMILIES: dict[str, tuple[type[nn.Module], type[nn.Module]]] = {
    "cnn-cnn": (TinyCNN, TinyCNN),
    "vit-vit": (TinyViT, TinyViT),
    "cnn-vit": (TinyCNN, TinyViT),
    "vit-cnn": (TinyViT, TinyCNN),
    "nhwc-cnn": (ChannelsLastNet, TinyCNN),
    "cnn-nhwc": (TinyCNN, ChannelsLastNet),
    "vit-nhwc": (TinyViT, ChannelsLastNet),
}
NAMES = recipes.without("needs_regions")
"""The others want labels with places: `test_focal_global.py`."""
# Recipe -> what its loss must train in the student: the head is always trained.
DETACHED = {"feature_only", "simkd"}


def _build(name: str, family: str = "cnn-cnn", **parameters: Any) -> Any:
    student, teacher = FAMILIES[family]
    setup = pair(student(8), teacher(12, seed=1))  # type: ignore[call-arg]
    return recipes.get(name)(setup, **parameters)


def test_the_recipes_of_the_methods_are_all_here() -> None:
    assert set(recipes.names()) >= {
        "feature_only", "cross_entropy", "logit", "logit_standardized", "feature_logit",
        "similarity_preserving", "semckd", "simkd", "blockwise_logit",
    }  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", NAMES)
def test_a_step_gives_finite_scalar_parts_and_trains_the_whole_student(name: str, family: str) -> None:
    recipe = _build(name, family).train()
    parts = step(recipe)
    assert parts["outputs"].shape == (6, CLASSES)
    assert not parts["outputs"].requires_grad
    for part, value in parts.items():
        assert value.isfinite().all(), part
        assert part == "outputs" or value.shape == (), part
        assert value.requires_grad == (part == "loss"), part
    parts["loss"].backward()
    untrained = [n for n, p in recipe.named_parameters() if p.grad is None]
    assert not untrained
    assert all(p.grad.isfinite().all() for p in recipe.parameters())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("family", ["cnn-cnn", "vit-vit"])
def test_the_teacher_is_frozen_unsaved_and_bit_identical_after_a_step(name: str, family: str) -> None:
    recipe = _build(name, family)
    before = {k: v.clone() for k, v in recipe.teacher.state_dict().items()}
    recipe.train()
    step(recipe)["loss"].backward()
    torch.optim.SGD(recipe.parameters(), lr=0.1).step()
    assert not recipe.teacher.training
    assert all(p.grad is None and not p.requires_grad for p in recipe.teacher.parameters())
    assert all(torch.equal(v, before[k]) for k, v in recipe.teacher.state_dict().items())
    teacher_parameters = {id(p) for p in recipe.teacher.parameters()}
    assert not any(id(p) in teacher_parameters for p in recipe.parameters())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("family", ["cnn-cnn", "vit-cnn"])
def test_the_exported_student_is_exactly_the_plain_architecture(name: str, family: str) -> None:
    recipe = _build(name, family)
    step(recipe)["loss"].backward()
    plain = FAMILIES[family][0](8)  # type: ignore[call-arg]
    assert list(recipe.exported().state_dict()) == list(plain.state_dict())
    plain.load_state_dict(recipe.exported().state_dict())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in recipe.exported().modules())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in recipe.teacher.modules())


@pytest.mark.parametrize("name", NAMES)
def test_targets_are_constants_one_row_a_sample_and_reusable(name: str) -> None:
    recipe = _build(name)
    whole = recipe.targets(images(6))
    assert all(not t.requires_grad and len(t) == 6 for t in whole.values())
    halves = [recipe.targets(images(6)[i : i + 3]) for i in (0, 3)]
    for key, value in whole.items():  # what a cache relies on: a sample's target does not depend on its batch
        torch.testing.assert_close(torch.cat([h[key] for h in halves]), value, rtol=1e-4, atol=1e-5)
    whole = recipe.told(whole, torch.arange(6))
    a, b = recipe(images(), labels(), whole)["loss"], recipe(images(), labels(), whole)["loss"]
    assert a.isfinite()
    assert b.isfinite()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("family", ["cnn-cnn", "vit-vit"])
def test_targets_may_be_cached_in_bf16(name: str, family: str) -> None:
    recipe = _build(name, family).train()
    cached = {k: v.bfloat16() for k, v in recipe.targets(images()).items()}
    parts = recipe(images(), labels(), recipe.told(cached, torch.arange(6)))
    parts["loss"].backward()
    assert parts["loss"].isfinite()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("family", ["cnn-cnn", "vit-vit", "cnn-vit"])
@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16], ids=str)
def test_autocast_and_channels_last(name: str, family: str, half: torch.dtype) -> None:
    recipe = _build(name, family).train()
    if family == "cnn-cnn":
        recipe.student.to(memory_format=torch.channels_last)
        recipe.teacher.to(memory_format=torch.channels_last)
    x = images().contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", dtype=half):
        parts = recipe(x, labels(), targets_of(recipe, x))
    parts["loss"].backward()
    assert parts["loss"].dtype == torch.float32
    assert all(p.grad is not None and p.grad.isfinite().all() for p in recipe.student.parameters())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("side", [32, 12])
def test_another_batch_size_and_resolution_than_the_examples(name: str, side: int) -> None:
    recipe = _build(name).train()
    parts = step(recipe, n=4, side=side, teacher_side=side)
    parts["loss"].backward()
    assert parts["loss"].isfinite()


@pytest.mark.parametrize("name", recipes.without("compares_samples", "needs_regions"))
def test_gradient_accumulation_adds_up(name: str) -> None:
    """Two half batches of weight 1/2 against one full batch, in eval mode and with batch-independent losses only."""
    recipe = _build(name, "vit-vit").eval()
    step(recipe)["loss"].backward()
    whole = [p.grad.clone() for p in recipe.parameters()]
    recipe.zero_grad()
    targets = targets_of(recipe, images())
    for half in (slice(0, 3), slice(3, 6)):
        part = {k: v[half] for k, v in targets.items()}
        (recipe(images()[half], labels()[half], part)["loss"] / 2).backward()
    for p, expected in zip(recipe.parameters(), whole, strict=True):
        torch.testing.assert_close(p.grad, expected, rtol=2e-3, atol=2e-4 * float(expected.abs().max()) + 1e-6)


@pytest.mark.parametrize("name", [n for n in NAMES if "feature_loss" in recipes.registry.parameters(n)])
@pytest.mark.parametrize("loss", losses.names())
@pytest.mark.parametrize("family", FAMILIES)
def test_every_feature_loss_in_every_recipe_that_has_a_feature_term(name: str, loss: str, family: str) -> None:
    recipe = _build(name, family, feature_loss=loss).train()
    parts = step(recipe)
    parts["loss"].backward()
    assert parts["feature"].isfinite()
    assert parts["feature"] > 0
    deepest = dict(recipe.student.named_modules())[STAGES[-1]]
    assert any(p.grad is not None and bool(p.grad.any()) for p in deepest.parameters())


# A cross-entropy with the teacher's probabilities cannot fall below their entropy, which is most of it at first.
ABOVE_THE_FLOOR = {"ofa": {"cross_entropy_weight": 10.0}}


@pytest.mark.parametrize("name", NAMES)
def test_the_loss_falls(name: str) -> None:
    torch.manual_seed(0)
    recipe = _build(name, **ABOVE_THE_FLOOR.get(name, {})).train()
    targets = targets_of(recipe, images())
    optimiser = torch.optim.AdamW(recipe.parameters(), lr=5e-3)
    values = []
    for _ in range(40):
        optimiser.zero_grad()
        value = recipe(images(), labels(), targets)["loss"]
        value.backward()
        optimiser.step()
        values.append(value.item())
    assert values[-1] < 0.85 * values[0]


@pytest.mark.parametrize("name", NAMES)
def test_dict_inputs_and_dict_outputs(name: str) -> None:
    ids = {"input_ids": torch.arange(24).reshape(4, 6) % 20}
    setup = pair(TinyEncoder(8), TinyEncoder(12, seed=1), student_example=ids, teacher_example=ids)
    recipe = recipes.get(name)(setup)
    parts = recipe(ids, labels(4), targets_of(recipe, ids))
    parts["loss"].backward()
    assert parts["loss"].isfinite()


@pytest.mark.parametrize("name", NAMES)
def test_unknown_parameters_and_missing_teachers_are_refused(name: str) -> None:
    with pytest.raises(InvalidConfig, match="bogus"):
        _build(name, bogus=1)
    setup = pair(TinyCNN(8), TinyCNN(8))
    if recipes.get(name).needs_teacher:
        with pytest.raises(InvalidConfig, match="teacher"):
            recipes.get(name)(replace(setup, teacher=None))


@pytest.mark.parametrize("name", NAMES)
def test_the_state_dict_restores_the_recipe(name: str) -> None:
    torch.manual_seed(0)
    first = _build(name)
    torch.manual_seed(1)
    second = _build(name)
    second.load_state_dict(first.state_dict())
    assert torch.equal(step(first.train())["loss"], step(second.train())["loss"])


@pytest.mark.parametrize("name", sorted(DETACHED))
@pytest.mark.parametrize("family", FAMILIES)
def test_no_label_reaches_the_backbone(name: str, family: str) -> None:
    """Other labels change the head's gradient and no other, to the bit."""
    recipe = _build(name, family)
    grads = []
    for shift in (0, 1):
        recipe.zero_grad()
        recipe.eval()
        targets = targets_of(recipe, images())
        recipe(images(), (labels() + shift) % CLASSES, targets)["loss"].backward()
        grads.append({n: p.grad.clone() for n, p in recipe.named_parameters()})
    for parameter in grads[0]:
        equal = torch.equal(grads[0][parameter], grads[1][parameter])
        assert equal != parameter.startswith("student.head"), parameter


# Losses of one step with seeded weights and inputs; a change means that the recipe computes something else.
PINNED = {
    "attention_transfer": 68.591,
    "blockwise_logit": 4.4799,
    "crd": 20.284,
    "cross_entropy": 1.6589,
    "dist": 4.3913,
    "dkd": 2.0185,
    "feature_logit": 1.9107,
    "feature_only": 1.8708,
    "fitnet": 46.624,
    "logit": 1.6987,
    "logit_standardized": 12.83,
    "masked_generative": 1.6614,
    "ofa": 8.1404,
    "pkt": 15.138,
    "review": 3.8898,
    "rkd": 3.813,
    "semckd": 1.9055,
    "similarity_preserving": 25.256,
    "simkd": 2.153,
    "vid": 4.0906,
}


@pytest.mark.parametrize("name", NAMES)
def test_pinned(name: str) -> None:
    if name not in PINNED:
        pytest.skip("a recipe that came later; pin its loss here")
    student, teacher = TinyCNN(8, seed=0), TinyCNN(12, seed=1)
    torch.manual_seed(2)
    recipe = recipes.get(name)(pair(student, teacher)).train()
    assert step(recipe)["loss"].item() == pytest.approx(PINNED[name], rel=1e-3)


@pytest.mark.parametrize("name", ["cross_entropy", "feature_only", "blockwise_logit"])
def test_a_compiled_step_is_the_eager_step(name: str) -> None:
    """`torch.compile` of the recipe: hooks break the graph but change nothing. Backend without code generation."""
    torch._dynamo.reset()
    torch.manual_seed(0)
    eager = _build(name).train()
    torch.manual_seed(0)
    compiled = _build(name).train()
    call = torch.compile(compiled, backend="aot_eager")
    targets = targets_of(eager, images())
    for seed in range(3):
        for recipe, forward in ((eager, eager), (compiled, call)):
            recipe.zero_grad()
            forward(images(seed=seed), labels(), targets)["loss"].backward()
        for (key, a), b in zip(eager.named_parameters(), compiled.parameters(), strict=True):
            torch.testing.assert_close(a.grad, b.grad, rtol=1e-3, atol=1e-5, msg=key)


SYNCHRONISING = ("aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::is_nonzero", "aten::equal")


class _NoSync(TorchDispatchMode):
    """Fails on operations that make the host wait for a device."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func.name().partition(".")[0] not in SYNCHRONISING, func.name()
        return func(*args, **(kwargs or {}))


STEPS = [(name, {}) for name in NAMES]
STEPS += [("feature_only", {"feature_loss": loss}) for loss in losses.names()]
STEPS += [("feature_only", {"normalise": True})]


@pytest.mark.parametrize(("name", "parameters"), STEPS)
def test_a_step_never_makes_the_host_wait(name: str, parameters: dict[str, Any]) -> None:
    recipe = _build(name, **parameters).train()
    step(recipe)  # the first pass may learn
    with _NoSync():
        step(recipe)["loss"].backward()


def test_the_watch_sees_a_sync() -> None:
    with pytest.raises(AssertionError, match="_local_scalar_dense"), _NoSync():
        torch.ones(()).item()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("family", ["cnn-cnn", "vit-vit"])
def test_a_resumed_recipe_steps_to_the_same_bits(name: str, family: str) -> None:
    """Nothing learnt in earlier steps, such as which features need a copy, may change a gradient's rounding."""
    used = _build(name, family).train()
    for _ in range(2):
        step(used)["loss"].backward()
    used.zero_grad()
    fresh = _build(name, family).train()
    fresh.load_state_dict(used.state_dict())
    for recipe in (used, fresh):
        step(recipe)["loss"].backward()
    for (key, a), b in zip(used.named_parameters(), fresh.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad), key
